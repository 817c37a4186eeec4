"""Windows cover a video once, whatever its frame rate; pieces bound what is held; decoding is that of `data.views`."""

import subprocess
import sys

import numpy as np
import pytest
import video_models as zoo

from ivcore.data.views import Views
from ivcore.data.windows import Decoded, Length, Piece, Window, ahead, decode, each_decoded, lay_out, pieces
from ivcore.errors import ParameterError, VideoError


class Record:
    def __init__(self, path):
        self.path, self.label = str(path), 0


HOW = zoo.DENSE.views()


@pytest.mark.parametrize(("text", "said"), [("2", "2s"), ("2.5s", "2.5s"), (".5 seconds", "0.5s"), ("48f", "48f"), ("48 frames", "48f")])  # fmt: skip
def test_lengths(text, said):
    assert str(Length.of(text)) == said


@pytest.mark.parametrize("text", ["", "0", "-1", "0f", "2.5f", "nan", "1e9", "inf", "2 hours", "0.0000001s"])
def test_no_lengths(text):
    with pytest.raises(ParameterError, match="per-window = "):
        Length.of(text)


@pytest.mark.parametrize("frames", [1, 2, 7, 48, 71, 72, 73, 100])
@pytest.mark.parametrize("text", ["48f", "1f", "2s", "0.01s", "1000s"])
def test_every_frame_is_in_one_window(frames, text):
    rng = np.random.default_rng(frames)
    for times in (np.arange(frames) / 24, np.cumsum(rng.uniform(0.001, 0.4, frames)) - 0.0005):
        windows = Length.of(text).windows(times - times[0], 24)
        assert [w.first for w in windows] == [0, *(w.stop for w in windows[:-1])] and windows[-1].stop == frames
        assert all(w.first < w.stop and w.start < w.end for w in windows)
        if text == "48f":
            assert len(windows) == max(1, (frames + 24) // 48)


def test_seconds_count_time_and_not_frames():
    times = np.array([0, 0.1, 0.2, 0.3, 1.0, 2.0, 2.1])
    assert [(w.first, w.stop) for w in Length(1, True).windows(times, 10)] == [(0, 4), (4, 7)]  # 0.2 s are left over


def test_pieces_hold_at_most_so_many_bytes():
    windows = [Window(i, i + 1, i, i + 1) for i in range(10)]
    parts = pieces("a", windows, 12 << 20)
    assert [len(part.windows) for part in parts] == [2] * 5 and sum((part.windows for part in parts), ()) == tuple(
        windows
    )
    assert len(pieces("a", windows, 1 << 40)) == 10


def test_a_video_is_shown_as_in_testing_and_windows_as_videos_of_their_own(tmp_path):
    path = zoo.video(tmp_path / "a.mp4", frames=19)
    how = HOW | {"num_clips": 2}
    whole = decode(Piece(str(path)), how)
    assert np.array_equal(whole.clips[0], Views([Record(path)], **how)[0]["views"]) and whole.windows[0].stop == 19
    windows = lay_out(str(path), Length(1, True))
    assert [(w.first, w.stop) for w in windows] == [(0, 8), (8, 19)]
    apart = decode(Piece(str(path), tuple(windows)), how)
    span = type("Span", (Record,), {"span": lambda self, length: (8, 19)})(path)
    assert np.array_equal(apart.clips[1], Views([span], **how)[0]["views"]) and apart.clips.shape[:3] == (2, 2, 4)


def test_what_cannot_be_read_is_an_error_and_ends_nothing(tmp_path):
    good = zoo.video(tmp_path / "good.mp4", frames=1)
    (tmp_path / "empty.mp4").touch(), (tmp_path / "text.mp4").write_text("no video at all")
    todo = [Piece(str(tmp_path / name)) for name in ("empty.mp4", "good.mp4", "text.mp4", "gone.mp4")]
    for workers in (0, 1):
        got = dict(each_decoded(todo, HOW, workers))
        assert [type(got[i]) for i in range(4)] == [VideoError, Decoded, VideoError, VideoError]
        assert got[1].clips.shape == (1, 1, 4, 16, 16, 3) and got[3].path == str(tmp_path / "gone.mp4")
    assert isinstance(lay_out(str(tmp_path / "text.mp4"), Length(1, True)), VideoError)
    assert len(lay_out(str(good), Length(1, True))) == 1


def test_leaving_early_stops_the_reading_ahead():
    seen, closed = [], []

    def numbers(left):
        try:
            for number in range(10**6):
                seen.append(number)
                yield number
        finally:
            closed.append(True)

    for number in ahead(numbers, 2):
        if number == 3:
            break
    assert closed and len(seen) < 10

    def fails(left):
        yield 1
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        list(ahead(fails, 1))


def test_a_process_that_decodes_starts_without_torch(tmp_path):
    path = zoo.video(tmp_path / "a.mp4", frames=19)
    code = f"""
import sys
from ivcore.data.windows import Piece, decode
assert decode(Piece({str(path)!r}), {HOW!r}).clips.size and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
