"""Videos and images in turn: the order of the steps, batch sizes, epochs, and a training run that goes on where it stopped."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ivcore.data.batches import Batches, InMemory
from ivcore.data.interleave import RoundRobin
from ivcore.errors import ParameterError, UserError
from ivcore.train import train
from ivcore.train.recipe import Recipe


def some(count, frames, batch_size, **options):
    video = np.random.default_rng(frames).integers(0, 256, (count, frames, 4, 4, 3), np.uint8)
    return Batches(InMemory(video=video, number=np.arange(count)), batch_size, **options)


@pytest.fixture
def both():
    return RoundRobin(some(12, 4, 3), some(40, 1, 5))


def kinds(stream):
    return ["video" if batch["video"].shape[1] > 1 else "image" for batch in stream]


def test_videos_at_even_steps_and_images_at_odd_ones(both):
    batches = list(both.iter_from(0, 6))
    assert kinds(batches) == ["video", "image"] * 3
    assert [len(batch["number"]) for batch in batches] == [3, 5] * 3
    assert both.batch_size == 3 and len(both) == 8
    seen = [batch["number"] for batch in both.iter_from(0, len(both)) if batch["video"].shape[1] > 1]
    assert sorted(torch.cat(seen).tolist()) == list(range(12))  # an epoch is a pass over the videos


def test_a_ratio():
    both = RoundRobin(some(12, 4, 3), some(40, 1, 5), ratio=(2, 1))
    assert kinds(both.iter_from(0, 7)) == ["video", "video", "image"] * 2 + ["video"]
    assert len(both) == 6
    assert kinds(both.iter_from(2, 5)) == ["image", "video", "video"]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 30), st.integers(0, 12))
def test_iteration_fetch_and_indices_agree(v, i, step, more):
    both = RoundRobin(some(6, 2, 2), some(9, 1, 3), ratio=(v, i))
    batches = list(both.iter_from(step, step + more))
    assert len(batches) == more
    for place, batch in enumerate(batches, step):
        assert batch["number"].tolist() == both.indices(place).tolist()
        assert torch.equal(batch["video"], both.fetch(place)["video"])
    endless = itertools.islice(both.iter_from(step), more)
    assert all(torch.equal(a["video"], b["video"]) for a, b in zip(endless, batches))


def test_workers_give_the_same():
    plain, fetched = (
        RoundRobin(some(12, 4, 3, num_workers=n), some(40, 1, 5, num_workers=n)).iter_from(3, 9) for n in (0, 1)
    )
    for a, b in itertools.zip_longest(plain, fetched):
        assert torch.equal(a["video"], b["video"])


class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, video):
        return (video.float() / 255).mean((1, 2, 3)) @ self.weight


def loss(model, batch, generator):
    noise = torch.rand((), generator=generator)
    return (model(batch["video"]) - noise).square().mean(), {"images": float(batch["video"].shape[1] == 1)}


def run(folder, epochs=3, batches=None, stop_at=None):
    both = batches or RoundRobin(some(12, 4, 3), some(40, 1, 5))
    recipe = Recipe(epochs=epochs, batch_size=3, lr=1e-2, seed=0, log_every=1, checkpoint_seconds=0)
    model = Mean()

    def stopping(line):
        if line["step"] == stop_at:
            raise KeyboardInterrupt

    return model, train(model, loss, both, recipe, folder, log=stopping)


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path):
    whole, history = run(tmp_path / "a")
    assert history.series("images")[1] == [0, 1] * 12
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", stop_at=11)
    resumed, continued = run(tmp_path / "b")
    assert 0 < continued.resumed_from < 24 and torch.equal(whole.weight, resumed.weight)
    assert continued.series("loss") == history.series("loss")


def test_other_data_are_another_run(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=5)
    with pytest.raises(UserError, match="data images batch_size was 5 and is 4"):
        run(tmp_path, batches=RoundRobin(some(12, 4, 3), some(40, 1, 4)))


@pytest.mark.parametrize("ratio", [(0, 1), (1,), (1, 1.5)])
def test_a_bad_ratio(both, ratio):
    with pytest.raises(ParameterError, match="ratio="):
        RoundRobin(both.videos, both.images, ratio)


def test_ranks_share_the_batches_of_both_kinds():
    whole = RoundRobin(some(12, 4, 4), some(40, 1, 6), (2, 1))
    parts = [whole.share(rank, 2) for rank in range(2)]
    for step, batch in enumerate(whole.iter_from(0, 9)):
        joined = torch.cat([part.fetch(step)["number"] for part in parts])
        assert torch.equal(joined, batch["number"])
    assert parts[1].identity() == whole.identity()
