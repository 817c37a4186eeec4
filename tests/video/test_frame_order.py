"""Files whose time stamps do not say in which order frames are shown, written by the ffmpeg program: the frames are those it decodes.

`files/frames.json` holds the numbers that `ffmpeg -i FILE -vsync passthrough -f rawvideo -` shows, one after the other. .avi has no times of
showing; the others are copies of such streams (`-c copy`, also with `-fflags +genpts`), a cut before frames that lack their keyframe, and a
transport stream whose time stamps differ after a seek. XviD packs two pictures into one packet.
"""

import json
from pathlib import Path

import clip_zoo as zoo
import numpy as np
import pytest

from ivcore.video import sampling
from ivcore.video.reader import VideoReader

FOLDER = Path(__file__).parent / "files"
SHOWN = json.loads((FOLDER / "frames.json").read_text())


def read(name, indices, **options):
    with VideoReader(FOLDER / name, **options) as video:
        return zoo.numbers(video.read(indices))


@pytest.mark.parametrize("name", SHOWN)
def test_frames_are_those_that_ffmpeg_decodes(name):
    shown = SHOWN[name]
    assert read(name, range(len(shown))) == shown
    assert [read(name, [i])[0] for i in range(len(shown))] == shown
    with VideoReader(FOLDER / name) as video:
        assert len(video) == len(shown) == len(video.times) and (np.diff(video.times) > 0).all()
        assert [zoo.numbers(video.read([i]))[0] for i in range(len(shown))[::-1]] == shown[::-1]


@pytest.mark.parametrize("name", SHOWN)
def test_clips_as_training_draws_them(name):
    shown, rng = SHOWN[name], np.random.default_rng(0)
    for _ in range(5):
        indices = sampling.dense(len(shown), 4, 3, rng)
        assert read(name, indices) == [shown[i] for i in indices]


@pytest.mark.parametrize("kind, options", [("nob", {"bf": "0"}), ("b", {"preset": "veryfast", "bf": "2"})])
@pytest.mark.parametrize("suffix", ["avi", "wmv", "mkv", "ts", "flv", "nut", "h264", "mov"])
def test_h264_in_every_container(kind, options, suffix, tmp_path):
    path = zoo.write(tmp_path / f"{kind}.{suffix}", frames=40, options=options | {"g": "12"})
    truth = zoo.numbers(zoo.sequential(path))
    for indices in ([20, 21], [39], [13, 14, 30], [5], range(40)):
        with VideoReader(path) as video:
            assert len(video) == len(truth) and zoo.numbers(video.read(indices)) == [truth[i] for i in indices]


def test_time_stamps_that_lie_in_part_are_noticed(tmp_path):
    """Written by hand: the second half of an .mkv has its time stamps in the order of decoding, the first half those of showing."""
    import av

    honest = zoo.write(tmp_path / "b.mkv", frames=60, options={"preset": "veryfast", "bf": "2", "g": "12"})
    path = tmp_path / "half.mkv"
    with av.open(str(honest)) as reader, av.open(str(path), "w") as writer:
        stream = reader.streams.video[0]
        packets = [p for p in reader.demux(stream) if p.size]
        stamps = sorted(p.pts for p in packets)
        copy = writer.add_stream_from_template(stream)
        for number, packet in enumerate(packets):
            if number >= 36:
                packet.pts = stamps[number]
            packet.stream = copy
            writer.mux(packet)
    for index in (40, 50, 59, 20, 0):
        with VideoReader(path) as video:
            assert zoo.numbers(video.read([index])) == [index]


@pytest.mark.parametrize("codec, suffix, index", [("mpeg4", "avi", b"idx1"), ("libx264", "mkv", b"\x1c\x53\xbb\x6b")])
def test_a_file_without_an_index_for_seeking(codec, suffix, index, tmp_path):
    path = zoo.write(tmp_path / f"clip.{suffix}", codec, frames=40, options={"bf": "0", "g": "12"})
    path.write_bytes(path.read_bytes().replace(index, b"JUNK" if suffix == "avi" else b"\xec\x40\0\0"))
    with VideoReader(path) as video:
        assert [zoo.numbers(video.read([i]))[0] for i in (39, 5, 14, 30)] == [39, 5, 14, 30]
