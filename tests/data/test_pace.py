"""Clips that span seconds: the same stretch of time at any frame rate, and no frozen end, in training, in testing and in commands."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import video_models as zoo

from ivcore.data import memory
from ivcore.data.one_pass import Pass
from ivcore.data.sources import training_clips
from ivcore.data.video_answers import VideoModel
from ivcore.data.videos import VideoSet
from ivcore.data.views import views_of
from ivcore.data.windows import Piece, decode
from ivcore.stages import pair_clips
from ivcore.video.writer import write_video
from ivcore.weights.usage import Usage

SHAPE = {"num_frames": 4, "stride": 8, "seconds": 2.0, "size": 16}
FILMS = {"slow": (8.0, 40), "fast": (32.0, 160), "short": (16.0, 12)}  # frames a second, frames


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Frames that get brighter by 40 a second."""
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))
    for name, (fps, count) in FILMS.items():
        frames = np.empty((count, 16, 16, 3), np.uint8)
        frames[:] = (40 * np.arange(count) / fps).astype(np.uint8)[:, None, None, None]
        write_video(tmp_path / f"{name}.mp4", frames, fps)
    return [SimpleNamespace(path=str(tmp_path / f"{name}.mp4"), label=0) for name in FILMS]


def seconds(clip) -> np.ndarray:
    """When each frame of a clip is, (T, H, W, 3) -> (T,), to about 0.05 s."""
    return clip.mean((1, 2, 3)) / 40


def check(slow, fast, short) -> None:
    assert np.ptp(seconds(slow)) == pytest.approx(1.5, abs=0.1)  # 4 frames in 2 seconds
    assert np.ptp(seconds(fast)) == pytest.approx(1.5, abs=0.1)
    assert np.diff(seconds(short)) == pytest.approx([3 / 16] * 3, abs=0.05)  # of 0.75 seconds


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_clip_spans_the_same_time_at_any_frame_rate(records, in_memory):
    views = views_of(VideoSet(records, ["a"], "own"), in_memory=in_memory, num_clips=2, **SHAPE)
    check(*(item["views"][1] for item in views))
    clips = training_clips(records, in_memory=in_memory, seed=0, **SHAPE)
    check(*(clips.item(index, 3)["video"] for index in range(3)))
    for _ in range(2):  # decoded, and from the cache folder
        memory._kept.clear()
        params = {"masked_frames": 4, "sampling_rate": 8, "clip_seconds": 2.0, "multimodal_frames": 2, "image_size": 16}
        pairs = pair_clips.training_clips(records, params | {"in_memory": in_memory, "seed": 0}, None)
        check(*(pairs.item(index)["video"][:4] for index in range(3)))
        both = pair_clips.views(VideoSet(records, ["a"], "own"), params | {"in_memory": in_memory}, None)
        check(*(item["views"][0][:4] for item in both))


def test_commands_sample_as_training_did(records):
    used = Usage(16, 4, "dense", 8, clip_seconds=2.0)
    check(*(decode(Piece(record.path), used.views()).clips[0, 0] for record in records))
    counted = decode(Piece(records[2].path), Usage(16, 4, "dense", 8).views()).clips[0, 0]
    assert np.diff(seconds(counted))[-1] == pytest.approx(0, abs=0.02)  # frozen, where frames are counted


def test_windows_of_a_long_video_are_as_long_as_clips():
    model, _ = zoo.build("classifier")
    timed = VideoModel(model, Usage(16, 4, "dense", 8, clip_seconds=2.0), "m")
    assert [Pass.of(timed, fps, None, None).step for fps in (8.0, 25.0, 120.0)] == [4, 12, 60]
    assert Pass.of(timed, 25.0, None, None, length=30).step == 7
    assert Pass.of(timed, 25.0, 4.0, None).step == 25


def test_features_by_frames_keep_their_folder(tmp_path):
    """The usage decides the name of a folder of features."""
    from ivcore.run.features import _settings

    _, used = zoo.build("classifier")
    kept = _settings(SimpleNamespace(usage=used, digest="x"), None, "npy")
    assert "clip_seconds" not in json.dumps(kept)
