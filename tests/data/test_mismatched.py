"""Nobody is given a clip of its own group, in any order of the list, and the same seed draws the same."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.data.batches import Batches, InMemory
from ivcore.data.mismatched import OTHER, WithMismatched, mismatched_clips, others
from ivcore.errors import ParameterError

quick = settings(max_examples=60, database=None)


@quick
@given(st.integers(2, 40), st.integers(0, 99))
def test_nothing_stays_in_its_place_and_all_are_there(count, seed):
    found = others(count, seed)
    assert sorted(found.tolist()) == [*range(count)] and not (found == torch.arange(count)).any()
    assert torch.equal(found, others(count, seed)) and others(1, seed).tolist() == [0]


def drawn(groups, seed=0):
    return mismatched_clips(groups, np.random.default_rng(seed))


@quick
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 99))
def test_each_is_drawn_once_and_as_many_as_can_be_from_another_group(groups, seed):
    groups, found = np.array(groups), drawn(groups, seed)
    assert sorted(found) == list(range(len(groups)))
    largest = np.bincount(groups).max()
    assert (groups[found] == groups).sum() == max(0, 2 * largest - len(groups))
    assert len(groups) == 1 or (found != np.arange(len(groups))).all()


def test_the_shipped_test_clips_hear_no_clip_of_their_scene_and_their_own_label_by_chance(shipped):
    videos = shipped.test
    groups, labels = videos.groups().numpy(), np.array([record.label for record in videos.records])
    neighbours = np.roll(np.arange(len(groups)), 1)
    assert (groups[neighbours] == groups).mean() > 0.15  # what lists in order would give
    alike = []
    for seed in range(5):
        found = drawn(groups, seed)
        assert not (groups[found] == groups).any()
        alike.append((labels[found] == labels).mean())
    expected = ((np.bincount(labels) / len(labels)) ** 2).sum()
    assert np.mean(alike) == pytest.approx(expected, abs=0.02)


def test_seed_and_epoch_alone_decide():
    source, groups = InMemory(clip=np.arange(12), label=np.zeros(12, np.int64)), np.arange(12) // 2
    heard = {}
    for seed in (0, 1):
        for epoch in (0, 1):
            once, again = (WithMismatched(source, groups, seed) for _ in range(2))
            whole = once.batch(np.arange(12), epoch)[OTHER + "clip"].tolist()
            again.batch(np.arange(3), 5)
            parts = [again.batch(part, epoch)[OTHER + "clip"].tolist() for part in np.split(np.arange(12), 3)]
            assert whole == [*itertools.chain(*parts)]
            heard[seed, epoch] = tuple(whole)
    assert len(set(heard.values())) == 4


def test_a_last_batch_of_one_hears_another_clip():
    source = WithMismatched(InMemory(clip=np.arange(5), label=np.arange(5)), np.arange(5))
    batches = Batches(source, 4, shuffle=False, drop_last=False)
    for step in range(2):
        batch = batches.fetch(step)
        assert set(batch) == {"clip", "label", OTHER + "clip"}
        assert (batch["clip"] != batch[OTHER + "clip"]).all()


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="groups: 2 do not fit 3 clips"):
        WithMismatched(InMemory(clip=np.arange(3)), [0, 1])
