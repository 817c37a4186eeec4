"""Frames are drawn once, and an item is the video and the take that its index says."""

import numpy as np
import torch

from ivcore.data.takes import Takes
from ivcore.train import Batches

VIDEO = np.arange(3 * 8, dtype=np.uint8).reshape(3, 8, 1, 1, 1).repeat(3, -1)  # each frame has its own grey
COLUMNS = {"video": VIDEO, "label": np.array([5, 6, 7])}


def two_frames(length, rng=None):
    return np.array([0, length - 1]) if rng is None else rng.integers(0, length, 2)


def greys(batch):
    return batch["video"][:, :, 0, 0, 0].tolist()


def test_an_index_says_take_and_video():
    takes = Takes(COLUMNS, two_frames, 1, 2, seed=0)
    batch = takes.batch(np.array([4, 0, 1]), epoch=0)
    assert len(takes) == 6 and batch["label"].tolist() == [6, 5, 6] and batch["video"].dtype == torch.uint8
    drawn = [np.random.default_rng((0, *key)).integers(0, 8, 2) for key in ((1, 1), (0, 0), (0, 1))]
    assert greys(batch) == [[8 + f for f in drawn[0]], list(drawn[1]), [8 + f for f in drawn[2]]]


def test_every_epoch_shows_the_same_frames():
    takes = Takes(COLUMNS, two_frames, 1, 2, seed=0)
    batches = Batches(takes, 6, seed=0)
    stream = batches.iter_from(0, 2)
    first, second = (sorted(zip(each["label"].tolist(), greys(each))) for each in stream)
    assert first == second


def test_without_a_seed_there_is_one_take():
    takes = Takes(COLUMNS, two_frames, 1, 9)
    assert len(takes) == 3 and greys(takes.batch(np.array([2]), 0)) == [[16, 23]]


def test_crops_are_drawn_once_too():
    columns = {
        "video": np.random.default_rng(0).integers(0, 256, (3, 8, 16, 16, 3), np.uint8),
        "label": np.arange(3),
    }
    whole, cropped, again = (
        Takes(columns, two_frames, 16, 4, 1, scales) for scales in ((1.0,), (0.75,), (0.75,))
    )
    indices = np.arange(12)
    shown = [takes.batch(indices, epoch)["video"] for epoch, takes in enumerate((whole, cropped, again))]
    assert shown[0].shape == shown[1].shape == (12, 2, 16, 16, 3) and shown[1].dtype == torch.uint8
    assert torch.equal(shown[1], shown[2]) and not torch.equal(shown[0], shown[1])
    still = Takes(columns, two_frames, 16, scales=(0.75,)).batch(indices[:3], 0)["video"]
    assert np.array_equal(still.numpy(), columns["video"][:, [0, 7]])  # the deterministic take is whole


def test_a_take_does_not_depend_on_the_batch_or_on_what_else_can_be_read():
    takes = Takes(COLUMNS, two_frames, 1, 2, seed=3)
    fewer = {name: column[[0, 2]] for name, column in COLUMNS.items()} | {"index": np.array([0, 2])}
    alone = Takes(fewer, two_frames, 1, 2, seed=3).batch(np.array([1]), 0)
    assert greys(takes.batch(np.array([0, 2]), 0))[1] == greys(alone)[0]
