"""Broken files: always VideoError with path and cause in one line, never a crash, a hang, chatter or other frames."""

import struct
import subprocess
import sys

import clip_zoo as zoo
import numpy as np
import pytest

from ivcore.errors import VideoError
from ivcore.video.reader import VideoReader

pytestmark = pytest.mark.timeout(60, method="thread")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    return {
        "plain": zoo.write(folder / "plain.mp4", size=(96, 128)),
        "bframes": zoo.write(folder / "b.mp4", size=(96, 128), options={"preset": "veryfast", "bf": "3", "g": "12"}),
        "faststart": zoo.remux(
            zoo.write(folder / "x.mp4", size=(96, 128)), folder / "fast.mp4", {"movflags": "faststart"}
        ),
        "webm": zoo.write(folder / "vp9.webm", "libvpx-vp9"),
        "avi": zoo.write(folder / "m.avi", "mpeg4"),
        "stream": zoo.write(folder / "h264.ts"),
        "mkv": zoo.write(folder / "h264.mkv"),
        "av1": zoo.write(folder / "av1.mp4", "libsvtav1", size=(96, 128)),
        "audio": zoo.audio_only(folder / "audio.mp4"),
        "audio_webm": zoo.remux_audio(folder / "audio.mp4", folder / "audio.mkv"),
    }


def _patched(source, path, box: bytes, offset: int, value: int):
    """A copy with one 32-bit number overwritten, `offset` bytes into the content of a box."""
    data = bytearray(source.read_bytes())
    at = data.index(box) + 4 + offset
    data[at : at + 4] = struct.pack(">I", value)
    path.write_bytes(data)
    return path


def _write(path, content: bytes):
    path.write_bytes(content)
    return path


def _playlist(path) -> bytes:
    return b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\n%s\n#EXT-X-ENDLIST\n" % bytes(path)


BAD = {
    "missing": (lambda g, p: p, "no such file"),
    "folder": (lambda g, p: p.mkdir() or p, "is a folder"),
    "empty": (lambda g, p: _write(p, b""), "empty file"),
    "text": (lambda g, p: _write(p, b"not a video\n" * 100), "not a video"),
    "one byte": (lambda g, p: _write(p, b"\0"), "not a video"),
    "garbage": (lambda g, p: _write(p, np.random.default_rng(0).bytes(50_000)), ""),
    "garbage with an mp4 head": (lambda g, p: _write(p, g["plain"].read_bytes()[:36] + bytes(5000)), "no moov box"),
    "garbage after the mp4 index": (
        lambda g, p: _write(p, g["faststart"].read_bytes()[:1800] + np.random.default_rng(1).bytes(9000)),
        "",
    ),
    "no end, index at the end": (lambda g, p: zoo.truncate(g["plain"], p, 0.6), "mdat box should end"),
    "no end, index in front": (lambda g, p: zoo.truncate(g["faststart"], p, 0.6), "cut short"),
    "last byte missing": (lambda g, p: zoo.truncate(g["faststart"], p, 0.9999), "cut short"),
    "truncated in the index": (lambda g, p: zoo.truncate(g["faststart"], p, 0.05), ""),
    "truncated webm": (lambda g, p: zoo.truncate(g["webm"], p.with_suffix(".webm"), 0.5), "cut short"),
    "truncated avi": (lambda g, p: zoo.truncate(g["avi"], p.with_suffix(".avi"), 0.5), "cut short"),
    "matroska cut within its head": (lambda g, p: _write(p, g["webm"].read_bytes()[:4]), "cut short within its head"),
    "no wider than a hair": (
        lambda g, p: _patched(g["plain"], p, b"stsd", 40, 65535 << 16 | 1),
        "claims 65535 x 1 pixels",
    ),
    "no picture is that large": (
        lambda g, p: _patched(g["plain"], p, b"stsd", 40, 65535 << 16 | 65535),
        "claims 65535 x 65535 pixels",
    ),
    "HLS playlist of a good file": (lambda g, p: _write(p.with_suffix(".m3u8"), _playlist(g["stream"])), "not a video"),
    "ffconcat of a good file": (
        lambda g, p: _write(p, b"ffconcat version 1.0\nfile '%s'\n" % bytes(g["plain"])),
        "not a video",
    ),
    "audio only": (lambda g, p: g["audio"], "no video stream"),
    "audio only, matroska": (lambda g, p: g["audio_webm"], "no video stream"),
    "more frames than bytes": (lambda g, p: _patched(g["plain"], p, b"stsz", 8, 2**31), "more than the file"),
    "more sizes than frames": (lambda g, p: _patched(g["plain"], p, b"stts", 8, 300), "durations"),
    "no frames": (lambda g, p: _patched(g["plain"], p, b"stsz", 8, 0), "no frames"),
    "time scale 0": (lambda g, p: _patched(g["plain"], p, b"mdhd", 12, 0), "time scale"),
    "frames beyond the end": (lambda g, p: _patched(g["plain"], p, b"stco", 8, 10**6), "past its end"),
    "keyframe out of range": (lambda g, p: _patched(g["plain"], p, b"stss", 8, 10**6), "damaged mp4 index"),
    "index of zeros": (
        lambda g, p: _write(p, (d := g["plain"].read_bytes())[: (i := d.index(b"stsd"))] + bytes(len(d) - i)),
        "damaged mp4 index",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_its_cause(name, good, tmp_path, capfd):
    make, cause = BAD[name]
    path = make(good, tmp_path / "clip.mp4")
    with pytest.raises(VideoError) as caught, VideoReader(path) as video:
        video.read(np.arange(len(video)))
    assert caught.value.path == str(path) and cause in caught.value.cause
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert capfd.readouterr() == ("", "")


def _refused(path, reads, backend=None) -> bool:
    try:
        with VideoReader(path, backend=backend) as video:
            for indices in reads:
                video.read(indices)
    except VideoError:
        return True
    return False


@pytest.mark.parametrize("name", ["bframes", "av1"])
def test_flipped_bits_are_noticed(name, good, tmp_path, capfd):
    """PyAV; entropy coding that loses its thread: nearly every file with five flipped bits is refused when read whole."""
    files = [zoo.flip_bits(good[name], tmp_path / f"{seed}.mp4", 5, seed) for seed in range(12)]
    assert sum(_refused(path, [range(30)], "pyav") for path in files) >= 11
    assert capfd.readouterr() == ("", "")


def test_damage_on_the_way_to_a_frame_is_noticed(good, tmp_path):
    """What the decoder flags between the keyframe (every 12th) and the frame asked for is refused, also where an earlier read decoded it."""
    checked = 0
    for seed in range(30):
        path = zoo.flip_bits(good["plain"], tmp_path / f"{seed}.mp4", 2, seed)
        flagged = zoo.flagged(path)
        for index in (5, 11, 20, 29) if len(flagged) == 30 else ():
            if any(flagged[index // 12 * 12 : index + 1]):
                checked += 1
                assert _refused(path, [[index]], "pyav")
                assert _refused(path, [[0], [2], [index - 1], [index]], "pyav")
    assert checked > 10


def test_damage_elsewhere_does_not_matter(good, tmp_path):
    """Three groups of twelve frames, the last damaged: the first two still read, through either backend."""
    path = zoo.flip_bits(good["plain"], tmp_path / "tail.mp4", 30, 0, area=(0.75, 0.85))
    truth = VideoReader(good["plain"]).read(range(12))
    for backend in (None, "pyav"):
        with VideoReader(path, backend=backend) as video:
            assert np.array_equal(video.read([0, 5, 11]), truth[[0, 5, 11]])
    with pytest.raises(VideoError, match="does not decode"), VideoReader(path, backend="pyav") as video:
        video.read(range(24, 30))


def test_a_damaged_neighbour_does_not_spoil_a_good_file(good, tmp_path):
    path = zoo.flip_bits(good["plain"], tmp_path / "bad.mp4", 50, 0)
    bad, fine = VideoReader(path), VideoReader(good["plain"])
    fine.read([0])
    with pytest.raises(VideoError):
        bad.read(range(30))
    assert zoo.numbers(fine.read([7, 29])) == [7, 29]


def test_damage_anywhere_never_crashes(good, tmp_path):
    """Headers included; in a process of its own, which must live and stay silent."""
    code = """
import sys
from ivcore.errors import VideoError
from ivcore.video.reader import VideoReader
for path in sys.argv[1:]:
    try:
        with VideoReader(path, 24) as video:
            video.read([0, len(video) - 1, len(video) // 2])
    except VideoError as error:
        assert str(error).startswith(path) and "\\n" not in str(error)
print("alive")
"""
    files = [
        zoo.flip_bits(source, tmp_path / f"{name}{seed}{source.suffix}", 8, seed, area=(0, 1))
        for name, source in good.items()
        for seed in range(15)
    ]
    done = subprocess.run([sys.executable, "-c", code, *map(str, files)], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


LIES = {  # container: the bytes before a number in its head, how it is written, and what it claims
    "avi": (b"strh", 4 + 32, "<I", 1 << 31),  # length in frames
    "mkv": (b"\x44\x89\x88", 3, ">d", 1e15),  # duration
    "webm": (b"\x44\x89\x88", 3, ">d", 1e15),
}


@pytest.mark.parametrize("kind", LIES)
def test_a_claimed_length_is_not_believed(kind, good, tmp_path):
    """decord reserves memory for as many frames as the head claims, and ends the process where there is not as much."""
    code, offset, form, value = LIES[kind]
    data = bytearray(good[kind].read_bytes())
    struct.pack_into(form, data, data.index(code) + offset, value)
    path = _write(tmp_path / f"lie.{kind}", bytes(data))
    with VideoReader(path) as video:
        assert len(video) == 30 and zoo.numbers(video.read([0, 17, 29])) == [0, 17, 29]


def test_a_size_is_the_decoders(good, tmp_path):
    """The sample description says half the width; the track header and the pictures do not."""
    path = _patched(good["bframes"], tmp_path / "half.mp4", b"stsd", 40, 64 << 16 | 96)
    with VideoReader(path) as video:
        assert (video.height, video.width) == (96, 128) and zoo.numbers(video.read([3, 20])) == [3, 20]


def test_errors_travel_between_processes(tmp_path):
    import pickle

    with pytest.raises(VideoError) as caught:
        VideoReader(tmp_path / "none.mp4")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.path, again.cause, str(again)) == (caught.value.path, caught.value.cause, str(caught.value))
