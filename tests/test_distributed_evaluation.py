"""Ranks that share a set: each piece is done once, every rank has all results, and they are the same to the last digit on any number of ranks."""

import threading

import pytest
import torch
from evaluating_ranks import CLASSES, CLIPS, CROPS, UNREADABLE, VIDEOS, WORLDS
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore import distributed_evaluation


@pytest.fixture(scope="module")
def found(ranks, tmp_path_factory):
    """world -> what each rank found."""
    folder = tmp_path_factory.mktemp("evaluating")
    ranks("evaluating_ranks.py", folder)
    read = lambda world, rank: torch.load(folder / f"{rank}-of-{world}.pt", weights_only=False)  # noqa: E731
    listed = {world: (folder / f"{world}/bad_videos.jsonl").read_text().splitlines() for world in WORLDS}
    return {world: [read(world, rank) | {"listed": listed[world]} for rank in range(world)] for world in WORLDS}


def equal(one, other) -> bool:
    """To the bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


RESULTS = ("scores", "scored", "coverage", "small batches", "shuffled", "bf16", "workers", "one video", "cached", "predicted", "embedded", "texts",
           "written", "walked", "listed")  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_the_same_to_the_last_digit_on_every_rank_of_one_two_and_three(found, name):
    alone = found[1][0][name]
    for world in WORLDS[1:]:
        for rank in found[world]:
            assert equal(rank[name], alone)


def test_all_readable_videos_are_scored_once_and_in_their_order(found):
    (alone,) = found[1]
    readable = [i for i in range(VIDEOS) if i not in UNREADABLE]
    assert alone["scored"] == [f"{i}.mp4" for i in readable] and len(alone["listed"]) == len(UNREADABLE)
    assert alone["coverage"] == {"test_videos": VIDEOS, "test_scored": len(readable)}
    scores, labels = alone["scores"]
    assert labels.tolist() == [i % CLASSES for i in readable] and scores.shape == (len(readable), CLASSES)
    assert len(scores.unique(dim=0)) > 90 and torch.allclose(scores.sum(1), torch.ones(len(scores), dtype=scores.dtype))
    assert alone["cached"]["label"].tolist() == labels.tolist()


@pytest.mark.parametrize("world", WORLDS)
def test_no_clip_is_seen_by_two_ranks(found, world):
    seen = [clip for rank in found[world] for clip in rank["seen"]]
    assert sorted(seen) == sorted(found[1][0]["seen"]) and len(seen) == (VIDEOS - len(UNREADABLE)) * CLIPS * CROPS
    assert all(rank["seen"] for rank in found[world])


def test_precision_and_shuffled_frames_change_the_scores(found):
    (alone,) = found[1]
    assert not torch.equal(alone["bf16"][0], alone["scores"][0])
    assert torch.allclose(alone["bf16"][0], alone["scores"][0], atol=0.05)
    assert not torch.allclose(alone["shuffled"][0], alone["small batches"][0], atol=1e-3)
    assert torch.equal(alone["workers"][0], alone["scores"][0])


class Ranks:
    """The functions of `distributed` that `turns` calls, with threads as ranks."""

    def __init__(self, count: int):
        self.count, self.local = count, threading.local()
        self.told, self.meet = [None] * count, threading.Barrier(count, timeout=60)

    def rank(self) -> int:
        return self.local.rank

    def world(self) -> int:
        return self.count

    def all_gather_object(self, value) -> list:
        self.told[self.rank()] = value
        self.meet.wait()
        told = list(self.told)
        self.meet.wait()
        return told


class Undrawn:
    """`rng` for threads, which share the generators."""

    def __init__(self):
        self.keys = []

    def seeded(self, *key):
        self.keys.append(key)
        return threading.Lock()


@settings(max_examples=60)
@given(count=st.integers(0, 40), world=st.integers(1, 7), seed=st.integers(0, 9))
def test_any_number_of_pieces_is_divided_among_any_number_of_ranks(count, world, seed):
    ranks, draws, done, got = Ranks(world), Undrawn(), [], [None] * world

    def of_rank(rank):
        ranks.local.rank = rank
        pieces = (f"piece {number}" for number in distributed_evaluation.own(count))
        got[rank] = list(
            distributed_evaluation.in_turns(
                lambda piece: done.append((rank, piece)) or piece.upper(), pieces, count, seed
            )
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed_evaluation, "distributed", ranks)
        patch.setattr(distributed_evaluation, "rng", draws)
        threads = [threading.Thread(target=of_rank, args=(rank,)) for rank in range(world)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert got == [[f"PIECE {number}" for number in range(count)]] * world
    assert sorted(piece for _, piece in done) == sorted(f"piece {number}" for number in range(count))
    of_each = [sum(rank == other for other, _ in done) for rank in range(world)]
    assert max(of_each) - min(of_each) <= 1
    assert sorted(draws.keys) == [(seed, number) for number in range(count)]


def test_draws_belong_to_the_piece_and_leave_the_generators_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    draw = lambda _: torch.rand(2)  # noqa: E731
    first, again, other = (
        torch.stack([*distributed_evaluation.in_turns(draw, range(3), 3, seed)]) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other) and len(first.unique()) == 6
    assert torch.equal(torch.get_rng_state(), before)
