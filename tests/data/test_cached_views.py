"""A take is drawn once, whoever asks for it and wherever its video lies."""

from functools import partial

import numpy as np
import pytest

from ivcore.data import sources
from ivcore.data.batches import Batches, batch_of
from ivcore.data.cached_views import CachedViews
from ivcore.data.formats import LabelledVideo
from ivcore.video.writer import write_video


@pytest.fixture
def training(tmp_path, monkeypatch):
    """The same clips from memory and from files; the second video is damaged."""
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for number in range(4):
        write_video(tmp_path / f"{number}.mp4", rng.integers(0, 256, (9 + number, 24, 32, 3), np.uint8), 8)
    (tmp_path / "1.mp4").write_bytes(b"not a video")
    records = [LabelledVideo(str(tmp_path / f"{number}.mp4"), number) for number in range(4)]
    options = {"num_frames": 4, "stride": 2, "size": 16, "seed": 0, "scales": (1.0, 0.75), "max_bad": 1}
    return {kept: sources.training_clips(records, in_memory=kept, **options) for kept in (True, False)}


@pytest.mark.parametrize("in_memory", [True, False])
def test_an_index_says_take_and_video(training, in_memory):
    takes, source = CachedViews(training[in_memory], 3), training[True]
    batch = batch_of(takes, np.array([9, 0, 5, 4]), 7)
    assert len(takes) == 12 and batch["label"].tolist() == [2, 0, 2, 0]
    for place, (take, row) in enumerate([(2, 1), (0, 0), (1, 1), (1, 0)]):
        expected = source.item(row, take)
        assert np.array_equal(batch["video"][place], expected["video"])
        assert batch["path"][place] == expected["path"]


def test_every_epoch_shows_the_same_clips(training):
    batches = Batches(CachedViews(training[True], 2), 8, seed=0)
    key = partial(map, lambda clip: clip.numpy().tobytes())
    first, second = (sorted(key(each["video"])) for each in batches.iter_from(0, 2))
    assert first == second and len(set(first)) > 4  # the takes differ


def test_paths_are_those_of_the_items(training):
    takes = CachedViews(training[True], 2)
    assert takes.paths == [takes.item(index)["path"] for index in range(8)]
