"""Clips for training and views for testing: the same from memory and from files, and the same again on a resume."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from ivcore.data import formats, shapes, sources
from ivcore.data.batches import Batches, batch_of
from ivcore.data.memory import load
from ivcore.data.records import read_records
from ivcore.data.videos import video_set
from ivcore.data.views import Views, over_views
from ivcore.errors import UserError
from ivcore.video import sampling
from ivcore.video.writer import write_video

CLIP = {"num_frames": 8, "stride": 2, "size": 32}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVCORE_CACHE", str(folder))
        built = shapes.build(shapes.Shapes(train=6, val=0, test=0, actions=("grow", "shrink")))
        yield read_records(built / "train.csv")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))


def test_a_batch_from_memory_is_a_function_of_seed_epoch_and_indices(records):
    make = partial(sources.training_clips, load(records, 32), **CLIP)
    indices = np.array([4, 1, 3])
    first, again = batch_of(make(seed=0), indices, 5), batch_of(make(seed=0), indices, 5)
    assert torch.equal(first["video"], again["video"]) and first["path"] == [records[i].path for i in indices]
    assert first["video"].shape == (3, 8, 32, 32, 3) and first["label"].tolist() == [records[i].label for i in indices]
    assert not torch.equal(first["video"], batch_of(make(seed=1), indices, 5)["video"])
    assert not torch.equal(first["video"], batch_of(make(seed=0), indices, 6)["video"])


def test_without_crops_memory_gives_the_decoded_frames(records):
    decoded = load(records, 32)
    video = sources.training_clips(decoded, **CLIP, seed=0, scales=(1.0,)).item(2)["video"]
    assert any(np.array_equal(video, decoded.video[2][start : start + 15 : 2]) for start in (0, 1))


def test_files_give_repeated_samples_of_one_decode(records):
    clips = sources.training_clips(records, **CLIP, seed=0, repeats=3)
    item = clips.item(1, 0)
    assert item["video"].shape == (3, 8, 32, 32, 3) and np.array_equal(item["video"], clips.item(1, 0)["video"])
    assert not np.array_equal(item["video"][0], item["video"][1])


def test_the_fine_tuning_augmentation_keeps_the_shape(records):
    clips = sources.training_clips(records, **CLIP, seed=0, augmentation="strong")
    assert clips.item(0, 0)["video"].shape == (8, 32, 32, 3)
    assert np.array_equal(clips.item(0, 3)["video"], clips.item(0, 3)["video"])


def test_views_are_the_same_from_memory_and_from_files(records):
    options = {**CLIP, "num_clips": 2, "num_crops": 3}
    files, memory = Views(records, **options), Views(load(records, 32), **options)
    for i in range(len(records)):
        a, b = files[i], memory[i]
        assert a["views"].shape == (6, 8, 32, 32, 3) and a["label"] == b["label"] and a["path"] == b["path"]
        assert np.array_equal(a["views"], b["views"])
    assert not np.array_equal(a["views"][0], a["views"][3])


class Brightness(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def prepare(self, clips):
        return clips.permute(0, 4, 1, 2, 3).float()

    def forward(self, video):
        return self.scale * video.mean((2, 3, 4))


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_scores_of_every_view_do_not_depend_on_the_batch(records, batch_size):
    views, model = Views(records, **CLIP, num_clips=2), Brightness()
    scores, labels = over_views(model, model, views, batch_size)
    expected = torch.stack([torch.from_numpy(views[i]["views"]).float().mean((1, 2, 3)) for i in range(len(views))])
    assert labels.tolist() == [record.label for record in records]
    assert torch.allclose(scores, expected, atol=1e-3) and not scores.requires_grad


def test_own_videos_need_a_csv_and_nothing_else(records, tmp_path):
    formats.write_kinetics_csv(tmp_path / "mine.csv", records[:3])
    found = video_set("train", str(tmp_path / "mine.csv"))
    assert [r.path for r in found.records] == [r.path for r in records[:3]]
    assert found.source == "mine.csv" and found.classes == ["0", "1"]
    (tmp_path / "classes.txt").write_text("grow\nshrink\n")
    assert video_set("train", str(tmp_path / "mine.csv")).classes == ["grow", "shrink"]
    assert len(found.first(2)) == 2 and len(found.first(0)) == 3


def test_a_wrong_folder_is_said_at_once(tmp_path):
    (tmp_path / "list.csv").write_text("a.mp4 0\nb.mp4 1\n")
    with pytest.raises(UserError, match="none of the 2 videos exists"):
        video_set("train", str(tmp_path / "list.csv"))


@pytest.fixture
def uneven(tmp_path):
    """Videos of different lengths and shapes, one of them damaged."""
    rng = np.random.default_rng(0)
    for number, (frames, height, width) in enumerate([(12, 40, 64), (9, 64, 40), (20, 48, 48), (7, 40, 72)]):
        write_video(tmp_path / f"{number}.mp4", rng.integers(0, 256, (frames, height, width, 3), np.uint8), 8)
    (tmp_path / "1.mp4").write_bytes(b"not a video")
    return [formats.LabelledVideo(str(tmp_path / f"{number}.mp4"), number) for number in range(4)]


HOW = {
    "crop": {"flip": 0.5, "scales": (1.0, 0.75)},
    "strong": {"augmentation": "strong", "flip": 0.5},
    "repeats": {"repeats": 3},
    "strong repeats": {"augmentation": "strong", "repeats": 2, "scales": (1.0,)},
    "segment": {"sampler": partial(sampling.segment, num_frames=8)},
}


@pytest.mark.parametrize("how", HOW)
def test_memory_and_files_show_the_same_clips(uneven, how):
    """To the bit, whatever the augmentation, also in the place of a video that cannot be read."""
    make = partial(sources.training_clips, uneven, **CLIP, seed=3, max_bad=1, **HOW[how])
    memory, files = make(in_memory=True), make(in_memory=False)
    assert len(memory) == len(files) == 4
    for epoch in (0, 5):
        for place in range(4):
            one, other = memory.item(place, epoch), files.item(place, epoch)
            assert np.array_equal(one.pop("video"), other.pop("video")) and one == other
    assert memory.paths == files.paths  # of what stands in the place of what cannot be read


def test_an_item_does_not_depend_on_the_batch(records):
    """Nor on what rank or worker asks for it: an item is a function of seed, epoch and index."""
    source = sources.training_clips(load(records, 40), **CLIP, seed=0)
    whole = batch_of(source, np.arange(6), 2)
    for indices in ([5], [2, 0], [1, 2, 3, 4]):
        part = batch_of(source, np.array(indices), 2)
        assert torch.equal(part["video"], whole["video"][indices])
        assert torch.equal(part["draw"], whole["draw"][indices])
    two = [Batches(source, 4, seed=1).share(rank, 2).fetch(0)["video"] for rank in (0, 1)]
    assert torch.equal(torch.cat(two), Batches(source, 4, seed=1).fetch(0)["video"])
