"""Batch k is a function of (seed, epoch, k) alone: of no worker, no earlier batch, no global generator."""

import os
import random
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore import rng
from ivcore.data.batches import Batches, InMemory
from ivcore.errors import ParameterError, UserError


class Noisy:
    """Items that draw from every global generator, as library augmentations do."""

    def __len__(self):
        return 10

    def item(self, index, epoch):
        noise = torch.rand(2)
        return {"x": torch.tensor([index, epoch, random.random(), np.random.rand(), *noise]), "path": f"{index}.mp4"}


class Refusing(Noisy):
    def item(self, index, epoch):
        raise UserError("a.csv:3: no such clip")


class Hanging(Noisy):
    def item(self, index, epoch):
        time.sleep(1)


class Dying(Noisy):
    def item(self, index, epoch):
        os._exit(9)


def flat(batches, start, stop):
    return torch.cat([batch["x"] for batch in batches.iter_from(start, stop)])


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5), st.booleans())
@settings(max_examples=60)
def test_an_epoch_holds_every_item_once(size, batch_size, seed, drop_last):
    data = InMemory(x=torch.arange(size))
    if drop_last and size < batch_size:
        with pytest.raises(UserError, match=f"batch_size={batch_size}"):
            Batches(data, batch_size, seed)
        return
    batches = Batches(data, batch_size, seed, drop_last=drop_last)
    second = torch.cat([b["x"] for b in batches.iter_from(len(batches), 2 * len(batches))]).tolist()
    assert len(set(second)) == len(second) == (size // batch_size * batch_size if drop_last else size)


def test_epochs_are_shuffled_differently_and_alike_for_the_same_seed():
    orders = [
        Batches(InMemory(x=torch.arange(100)), 100, seed).indices(step).tolist()
        for seed, step in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert orders[0] == orders[3]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert Batches(InMemory(x=torch.arange(100)), 100, shuffle=False).indices(5).tolist() == list(range(100))


def test_any_start_continues_the_same_stream():
    batches = Batches(Noisy(), 3, seed=4)
    whole = flat(batches, 0, 9)
    assert torch.equal(flat(Batches(Noisy(), 3, seed=4), 5, 9), whole[15:])
    assert whole[21:24, 1].tolist() == [2, 2, 2]  # the item was told its epoch


def test_workers_change_nothing_and_global_generators_are_left_alone():
    expected = flat(Batches(Noisy(), 3, seed=4), 2, 8)
    for workers in (0, 2):
        rng.seed_all(11)
        got = flat(Batches(Noisy(), 3, seed=4, num_workers=workers), 2, 8)
        drawn = (random.random(), np.random.rand(), torch.rand(1).item())
        assert torch.equal(got, expected)
        rng.seed_all(11)
        assert drawn == (random.random(), np.random.rand(), torch.rand(1).item())


def test_noise_differs_between_epochs_and_items():
    rows = flat(Batches(Noisy(), 5, seed=4), 0, 4)
    assert len({tuple(row[2:].tolist()) for row in rows}) == 20


def test_sources_of_each_kind():
    class Vectorised:
        calls = 0

        def __len__(self):
            return 8

        def batch(self, indices, epoch):
            Vectorised.calls += 1
            return {"x": torch.from_numpy(indices)}

    pairs = [(torch.tensor([i]), str(i)) for i in range(8)]
    order = Batches(Vectorised(), 4).indices(2).tolist()
    assert next(Batches(Vectorised(), 4).iter_from(2))["x"].tolist() == order
    assert Vectorised.calls == 1
    x, names = next(Batches(pairs, 4).iter_from(2))
    assert x.flatten().tolist() == order
    assert list(names) == [str(i) for i in order]


def test_columns_in_memory():
    data = InMemory(video=np.arange(24, dtype=np.uint8).reshape(6, 4), label=torch.arange(6), path=list("abcdef"))
    batch = data.batch(np.array([4, 1]), 0)
    assert batch["video"].dtype == torch.uint8
    assert batch["video"].tolist() == [[16, 17, 18, 19], [4, 5, 6, 7]]
    assert (batch["label"].tolist(), batch["path"]) == ([4, 1], ["e", "b"])
    with pytest.raises(ParameterError, match="label"):
        InMemory(video=np.zeros(3), label=np.zeros(4))


def test_last_short_batch():
    sizes = [len(b["x"]) for b in Batches(InMemory(x=torch.arange(10)), 4, drop_last=False)]
    assert sizes == [4, 4, 2]


def test_errors_of_a_worker_arrive_as_they_were():
    with pytest.raises(UserError, match=r"^a\.csv:3: no such clip$"):
        next(Batches(Refusing(), 2, num_workers=1).iter_from(0))


def test_silent_and_dead_workers_are_errors_not_hangs():
    with pytest.raises(UserError, match=r"step 3: no batch from the 1 data workers.*timed out"):
        next(Batches(Hanging(), 1, num_workers=1, timeout=0.4).iter_from(3))
    with pytest.raises(UserError, match=r"step 0: .*exited unexpectedly"):
        next(Batches(Dying(), 2, num_workers=1, timeout=30).iter_from(0))


def test_seeded_blocks_are_pure_and_restore():
    rng.seed_all(3)
    first = torch.rand(1), np.random.rand(), random.random()
    rng.seed_all(3)
    with rng.seeded(1, 2):
        inside = torch.rand(1), np.random.rand(), random.random()
    assert (torch.rand(1), np.random.rand(), random.random()) == first
    with rng.seeded(1, 2):
        assert (torch.rand(1), np.random.rand(), random.random()) == inside
    with rng.seeded(1, 3):
        assert (torch.rand(1), np.random.rand(), random.random()) != inside
