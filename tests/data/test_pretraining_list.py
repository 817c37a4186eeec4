"""The published pretraining list: video files and frame folders mixed, each row with its own frames and stride."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from ivcore.data import formats, sources
from ivcore.data.clips import Clips
from ivcore.data.formats import PretrainVideo, read_video_list
from ivcore.data.views import Views
from ivcore.errors import UserError, VideoError
from ivcore.video import sampling
from ivcore.video.writer import write_video

FRAMES, STRIDE = 4, 3
DENSE = partial(sampling.dense, num_frames=FRAMES, stride=STRIDE)


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory):
    """A video file of 20 frames, 20 pictures of Something-Something and 40 of AVA; red tells the frame."""
    root = tmp_path_factory.mktemp("hybrid")
    grey = np.repeat(np.arange(20, dtype=np.uint8)[:, None] * 12, 3, 1)
    (root / "k710").mkdir()
    write_video(root / "k710/abc.mp4", np.broadcast_to(grey[:, None, None], (20, 32, 32, 3)), 10)
    for name, pattern, first, count in (
        ("SomethingV2/78687", "img_{:05}.png", 1, 20),
        ("AVA/xyz", "image_{:06}.png", 0, 40),
    ):
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (32, 32), (6 * number,) * 3).save(root / name / pattern.format(number + first))  # fmt: skip
    (root / "list.txt").write_text(
        "k710/abc.mp4 0 -1 0\nSomethingV2/78687 0 20 0\nAVA/xyz 5 30 0\nk710/abc.mp4 8 -1 0\n"
    )
    return root


def shown(video, step):
    return np.rint(video[:, 8, 8, 0] / step).astype(int).tolist()


def test_every_row_at_its_own_frames_and_stride(hybrid):
    clips = Clips(read_video_list(hybrid / "list.txt", hybrid), DENSE, seed=3)
    assert len(clips) == 4
    starts = [set() for _ in range(4)]
    for epoch in range(40):
        for index, (step, stride) in enumerate(((12, STRIDE), (6, 2), (6, STRIDE), (12, STRIDE))):
            frames = shown(clips.item(index, epoch)["video"], step)
            assert np.diff(frames).tolist() == [stride] * (FRAMES - 1)
            starts[index].add(frames[0])
    spans = [(0, 10), (0, 13), (5, 25), (8, 10)]  # first and last start
    assert [(min(each), max(each)) for each in starts] == spans


def test_views_keep_to_the_same_frames(hybrid):
    records = read_video_list(hybrid / "list.txt")
    views = Views(records, num_frames=FRAMES, stride=STRIDE, size=32)
    middle = [shown(views[i]["views"][0], step) for i, step in enumerate((12, 6, 6, 12))]
    assert middle == [[5, 8, 11, 14], [6, 8, 10, 12], [15, 18, 21, 24], [9, 12, 15, 18]]


def test_frames_that_are_not_there(hybrid, tmp_path):
    lines = "SomethingV2/78687 0 21 0\nk710/abc.mp4 20 -1 0\nAVA/xyz 39 2 0\nAVA/xyz 0 0 0\n"
    (tmp_path / "list.txt").write_text(lines)
    for record, says in zip(
        read_video_list(tmp_path / "list.txt", hybrid),
        ("frames 0 to 20, of 20", "from 20 on, of 20", "frames 39 to 40, of 40", "frames 0 to -1, of 40"),
    ):
        with pytest.raises(VideoError, match=says):
            Clips([record], DENSE).clip(record, np.random.default_rng(0))


def test_long_videos_of_ava_are_cut_every_300_frames(tmp_path):
    lines = ["AVA/a 0 27030 0", "AVA/b 10 599 0", "AVA/c 10 600 0", "AVATAR/d 0 900 0", "AVA/e.mp4 0 -1 0"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = read_video_list(tmp_path / "list.txt")
    parts = {
        name: [(v.start, v.frames) for v in found if v.path.endswith(f"/{name}")]
        for name in ("a", "b", "c", "d", "e.mp4")
    }
    assert parts["a"] == [(300 * n, 300) for n in range(89)] + [(26700, 330)]
    assert parts["b"] == [(10, 599)] and parts["c"] == [(10, 300), (310, 300)]
    assert parts["d"] == [(0, 900)] and parts["e.mp4"] == [(0, -1)]
    assert len(formats.read_pretrain_list(tmp_path / "list.txt")) == 5


def test_which_list_a_file_is(tmp_path):
    for text, kind in (
        ("a.mp4 0\n", formats.LabelledVideo),
        ("a 1 2 b.mp4 0\n", formats.LabelledVideo),
        ("a b.mp4,3\n", formats.LabelledVideo),
        ("\ufeffa.mp4 0 -1 0\r\n", PretrainVideo),
        ("a 0 117 0\n", PretrainVideo),
        ("my clips/a b.mp4 0 -1 7\n", PretrainVideo),
    ):
        (tmp_path / "list.txt").write_text(text, encoding="utf-8")
        assert {type(record) for record in read_video_list(tmp_path / "list.txt")} == {kind}
    with pytest.raises(UserError, match="expected two columns"):
        formats.read_kinetics_csv(tmp_path / "list.txt")  # or else the path would end in " 0 -1"


def test_memory_and_files_show_the_same_pieces(hybrid, monkeypatch, tmp_path):
    """Each row has frames and a stride of its own."""
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    records = read_video_list(hybrid / "list.txt")
    make = partial(sources.training_clips, records, num_frames=4, stride=3, size=16, seed=0, scales=[1.0])
    memory, files = make(in_memory=True), make(in_memory=False)
    for place in range(len(records)):
        assert np.array_equal(memory.item(place, 1)["video"], files.item(place, 1)["video"])
