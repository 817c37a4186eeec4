"""One pass over a video: the same numbers as window by window, from wherever it begins, and no frame or token computed twice."""

import numpy as np
import pytest
import torch
import video_models as zoo

from ivcore.data import one_pass
from ivcore.data.one_pass import Pass
from ivcore.data.video_answers import VideoModel
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.errors import ParameterError
from ivcore.video.reader import VideoReader
from ivcore.weights.usage import Usage


def clip():
    torch.manual_seed(0)
    model = Clip(ImageEncoder(8, 16, 2, 2, 8, 16), TextEncoder(8, 16, 1, 2, 8, 40)).eval()
    return VideoModel(model, Usage(16, 3, "segment"), "clip")


def of_kind(kind):
    if kind == "clip":
        return clip()
    model, usage = zoo.build(kind)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return VideoModel(model.eval(), usage, kind)


@pytest.fixture
def film(tmp_path):
    return str(zoo.video(tmp_path / "film.mp4", frames=101, fps=8.0))


@pytest.mark.parametrize(("kind", "share"), [("masked", False), ("classifier", False), ("multimodal", True), ("video_text", True), ("clip", True)])  # fmt: skip
def test_values_are_those_of_each_window_alone(kind, share, film):
    model = of_kind(kind)
    way = Pass.of(model, 8.0, 1.5, 0.5)
    assert way.share == share
    parts = list(way.parts(film, model, model.features))
    with VideoReader(film, 16) as video:
        frames, times = one_pass.augment.centre_crop(video.read(np.arange(101)), 16), video.times
    rows = [row for part in parts for row in part.values]
    windows = [window for part in parts for window in part.windows]
    assert len(rows) == len(windows) == way.count(101)
    for n, (row, window) in enumerate(zip(rows, windows)):
        first = way.step * min(n * way.stride, -(-101 // way.step) - way.num_frames)
        seen = frames[first + way.step * np.arange(way.num_frames)]
        with torch.no_grad():
            alone = model.features(torch.from_numpy(seen[None]))[0]
        torch.testing.assert_close(torch.from_numpy(row), alone, rtol=1e-4, atol=1e-4)
        assert (window.first, window.stop) == (first, min(first + way.span, 101)) and window.start == times[first]


def test_a_pass_that_begins_at_any_part_gives_the_same_bytes(film, monkeypatch):
    monkeypatch.setattr(one_pass, "AT_ONCE", 4)
    for kind in ("video_text", "masked"):
        model = of_kind(kind)
        way = Pass.of(model, 8.0, 1.5, 1.0)
        whole = list(way.parts(film, model, model.features))
        assert len(whole[-1].windows) == {"video_text": 1, "masked": 3}[kind]  # of video_text the one at the end alone
        for n in range(1, len(whole)):
            rest = list(way.parts(film, model, model.features, begin=4 * n))
            assert [part.values.tobytes() for part in rest] == [part.values.tobytes() for part in whole[n:]]
            assert [part.windows for part in rest] == [part.windows for part in whole[n:]]


def test_each_frame_is_decoded_and_encoded_once(film, monkeypatch):
    model, decoded, encoded = of_kind("video_text"), [], []
    read, tokens = VideoReader.read, UniFormerV2.frame_tokens
    monkeypatch.setattr(VideoReader, "read", lambda self, numbers: (decoded.extend(numbers), read(self, numbers))[1])
    monkeypatch.setattr(UniFormerV2, "frame_tokens", lambda self, video: (encoded.append(len(video)), tokens(self, video))[1])  # fmt: skip
    way = Pass.of(model, 8.0, 1.5, 0.5)
    model_calls = len(list(way.parts(film, model, model.features)))
    frames = -(-101 // way.step)
    assert decoded == [way.step * n for n in range(frames)]
    assert sum(encoded) == frames + 1 and model_calls > 0  # one frame tells how large its tokens are


@pytest.mark.parametrize("kind", ["masked", "video_text"])
def test_a_video_shorter_than_a_window_is_one_window(kind, tmp_path):
    path, model = str(zoo.video(tmp_path / "a.mp4", frames=2)), of_kind(kind)
    (part,) = Pass.of(model, 8.0, 4.0, None).parts(path, model, model.features)
    assert len(part.windows) == 1 and part.windows[0].stop == 2 and np.isfinite(part.values).all()


@pytest.mark.parametrize(("frames", "firsts"), [(48, [0, 24]), (49, [0, 24, 27]), (65, [0, 24, 42]), (72, [0, 24, 48]), (24, [0]), (5, [0])])  # fmt: skip
def test_one_more_window_ends_with_the_video_where_its_end_would_not_be_seen(frames, firsts, tmp_path):
    model, way = of_kind("masked"), Pass(8, 8, 3, False)
    path = str(zoo.video(tmp_path / "a.mp4", frames=frames))
    windows = [window for part in way.parts(path, model, lambda clips: clips[:, 0, 0, 0]) for window in part.windows]
    assert [window.first for window in windows] == firsts and windows[-1].stop == frames
    assert way.count(frames) == len(windows)


def test_windows_are_as_near_to_the_seconds_as_frames_allow():
    masked, text = of_kind("masked"), of_kind("video_text")
    assert Pass.of(masked, 25.0, None, None) == Pass(4, 1, 2, False)  # the clip that it learned from
    assert Pass.of(text, 25.0, None, None) == Pass(3, 1, 33, True)  # four seconds
    assert Pass.of(text, 25.0, 1.5, 0.5) == Pass(3, 1, 12, True)
    assert Pass.of(text, 1.0, 0.1, 0.1) == Pass(3, 1, 1, True)
    with pytest.raises(ParameterError, match="every = 9 s: must be at most a window"):
        Pass.of(text, 25.0, 4.0, 9.0)


def test_what_depends_on_the_clip_is_not_shared():
    local = UniFormerV2(16, 2, 2, 8, 16, 3, (0, 1), local=True)
    pairs = UniFormerV2(16, 2, 2, 8, 16, 3, (0, 1), temporal_downsample=True)
    for model in (local, pairs):
        assert VideoModel(model.eval(), zoo.SPARSE, "m").shared() is None
    assert of_kind("coordinated").shared() is None
