"""Damaged pictures that the quick decoder conceals make a file unreadable where reading is strict, in every way of reading a set."""

import clip_zoo as zoo
import numpy as np
import pytest

from ivcore.data import sources
from ivcore.data.clips import Clips
from ivcore.data.formats import LabelledVideo
from ivcore.data.memory import load
from ivcore.data.views import Views
from ivcore.errors import VideoError
from ivcore.video import decord_frames
from ivcore.video.probe import probe

pytestmark = pytest.mark.skipif(not decord_frames.available(), reason="PyAV refuses damage at any time")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A good video, and one whose damage shows in its frames 0 and 23 at the latest when all before them are decoded."""
    folder = tmp_path_factory.mktemp("strict")
    options = {"preset": "veryfast", "bf": "2", "g": "30"}
    good = zoo.write(folder / "good.mp4", frames=24, options=options)
    for seed in range(40):
        bad = zoo.flip_bits(good, folder / "damaged.mp4", 1, seed)
        if not probe(str(bad)).kind and probe(str(bad), strict=True).kind == "damaged":
            return [str(good), str(bad)]
    raise AssertionError("no such damage found")


@pytest.fixture
def records(paths):
    return [LabelledVideo(path, label) for label, path in enumerate(paths)]


def every(length, rng=None):
    return np.arange(length)


@pytest.mark.parametrize("strict, found", [(False, 1), (True, 0)])
def test_from_files(records, strict, found):
    assert Clips(records, every, 32, strict=strict, max_bad=1).item(1)["index"] == found
    item = Views(records, num_frames=24, size=32, strict=strict)[1]
    assert isinstance(item, VideoError) == strict


@pytest.mark.parametrize("strict, found", [(False, [0, 1]), (True, [0])])
def test_in_memory(records, strict, found, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    for _ in range(2):  # the second time from the cache, which knows the one from the other
        assert load(records, 32, strict=strict, max_bad=1).index.tolist() == found
    how = {"num_frames": 4, "stride": 2, "size": 32, "seed": 0}
    source = sources.training_clips(records, in_memory=True, strict=strict, max_bad=1, **how)
    assert sorted({source.item(index)["index"] for index in range(2)}) == found
