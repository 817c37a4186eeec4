"""Evaluation leaves out what cannot be read, counts it, and never shows another video in its place."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ivcore.data.formats import LabelledVideo
from ivcore.data.memory import load
from ivcore.data.videos import VideoSet
from ivcore.data.views import Views, over_views, views_of
from ivcore.errors import UserError
from ivcore.video.writer import write_video


class Brightness(nn.Module):
    """One score a clip and frame: how bright it is."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 1))

    def prepare(self, clips):
        return clips.permute(0, 4, 1, 2, 3).float()

    def forward(self, video):
        return video.mean((1, 3, 4))


SHAPE = {"num_frames": 2, "stride": 1, "size": 16}


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Six plain videos, each of its own grey; 1 is damaged and 4 is not there."""
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))
    for number in range(6):
        write_video(tmp_path / f"{number}.mp4", np.full((4, 16, 16, 3), 40 * number, np.uint8), 8)
    (tmp_path / "1.mp4").write_bytes(b"not a video")
    (tmp_path / "4.mp4").unlink()
    return [LabelledVideo(str(tmp_path / f"{number}.mp4"), number) for number in range(6)]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("in_memory", [False, True])
def test_each_score_belongs_to_its_label(records, in_memory, workers, tmp_path):
    videos = load(records, 16, max_bad=1.0) if in_memory else records
    views, model = Views(videos, **SHAPE, run_dir=tmp_path / "run", missing=2), Brightness()
    scores, labels = over_views(model, model, views, 2, workers)
    assert labels.tolist() == [0, 2, 3, 5]
    assert scores[:, 0].mean(1).round().div(40).round().tolist() == [0, 2, 3, 5]
    assert views.coverage("test") == {"test_videos": 8, "test_scored": 4}
    assert views.scored == [records[i].path for i in (0, 2, 3, 5)]
    if not in_memory:
        assert len((tmp_path / "run/bad_videos.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("in_memory", [False, True])
def test_more_bad_videos_than_allowed_stop_and_say_of_how_many(records, in_memory, tmp_path):
    """The list has eight videos: two are known to be missing, one is damaged and one has gone since."""
    videos = VideoSet(records, [], "own", missing=2)
    how = SHAPE | {"in_memory": in_memory, "run_dir": tmp_path / "run"}
    model = Brightness()
    with pytest.raises(
        UserError,
        match=r"4 of 8 videos cannot be read, more than max_bad=0\.4, e\.g\. .*mp4: .*; those found are listed in",
    ):
        over_views(model, model, views_of(videos, max_bad=0.4, **how))
    listed = [json.loads(line)["path"] for line in (tmp_path / "run/bad_videos.jsonl").read_text().splitlines()]
    assert sorted(listed) == [records[1].path, records[4].path]
    scores, _ = over_views(model, model, views_of(videos, max_bad=0.5, **how))
    assert len(scores) == len(over_views(model, model, views_of(videos, **how))[0]) == 4


def test_a_second_pass_counts_alike(records):
    views, model = Views(records, **SHAPE), Brightness()
    for _ in range(2):
        over_views(model, model, views)
    assert views.coverage("val") == {"val_videos": 6, "val_scored": 4}


def test_nothing_readable_is_an_error(records):
    views, model = Views([records[1], records[4]], **SHAPE), Brightness()
    with pytest.raises(UserError, match="none of the 2 videos can be read"):
        over_views(model, model, views)


@pytest.mark.parametrize(("precision", "seen"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_evaluation_runs_at_the_precision_of_training(records, precision, seen):
    model, found = Brightness(), []

    def function(video):
        found.append((model.scale @ model.scale).dtype)
        return video.mean((1, 3, 4))

    scores, _ = over_views(function, model, Views(records[:1], **SHAPE), precision=precision)
    assert found == [seen] and scores.dtype == torch.float32


@pytest.mark.parametrize(("frames", "size", "crops", "each"), [(8, 32, 1, 256), (8, 224, 1, 52), (32, 224, 3, 4)])
def test_a_batch_has_no_more_pixels_than_its_views_may_have(frames, size, crops, each):
    views = Views([SimpleNamespace(path=f"{n}.mp4") for n in range(600)], num_frames=frames, size=size, num_crops=crops)
    parts = views._parts(256)
    assert {len(part) for part in parts[:-1]} == {each} and [row for part in parts for row in part] == list(range(600))
