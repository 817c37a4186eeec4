"""Errors over groups: against the textbook without groups, by hand with them, and in a case where counting clips as coins would mislead."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.errors import ParameterError
from ivcore.metrics.certainty import Paired, error_metric, paired, standard_error

quick = settings(max_examples=30, database=None)
PAIRS = torch.arange(40).repeat_interleave(2)  # a scene forwards and backwards


def test_alone_every_clip_counts():
    values = torch.tensor([1.0, 0, 1, 1, 0, 1])
    assert standard_error(values) == pytest.approx(values.double().std().item() / math.sqrt(6))
    assert standard_error(values, torch.tensor([5, 3, 9, 0, 1, 2])) == pytest.approx(standard_error(values))


def test_repeated_values_do_not_lower_the_error():
    once = torch.tensor([1.0, 0, 1, 1, 0])
    assert standard_error(once.repeat_interleave(2), PAIRS[:10]) == pytest.approx(standard_error(once))
    assert standard_error(once.repeat_interleave(2)) < 0.75 * standard_error(once)


def test_by_hand():
    values, groups = torch.tensor([1.0, 1, 0, 0, 1]), torch.tensor([0, 0, 1, 1, 2])
    assert standard_error(values, groups) == pytest.approx(math.sqrt(3 / 2 * (0.8**2 + 1.2**2 + 0.4**2)) / 5)


def test_groups_that_cancel_out_tell_more_than_their_clips():
    values = torch.tensor([1.0, 0]).repeat(40)  # of every scene one clip is right
    assert standard_error(values, PAIRS) == 0 < standard_error(values)


def test_one_group_has_no_error():
    assert math.isnan(standard_error(torch.tensor([1.0, 0]), torch.tensor([4, 4])))
    assert math.isnan(standard_error(torch.tensor([1.0])))
    assert error_metric("top1", torch.tensor([1.0, 0]), torch.tensor([4, 4])) == {}
    assert error_metric("top1", torch.tensor([1.0, 0])) == {"top1_error": pytest.approx(0.5)}


@quick
@given(st.integers(2, 60), st.integers(0, 2**31))
def test_the_order_of_clips_does_not_matter(clips, seed):
    generator = torch.Generator().manual_seed(seed)
    values, groups = (torch.rand(clips, generator=generator), torch.randint(0, 9, (clips,), generator=generator))
    order = torch.randperm(clips, generator=generator)
    one, other = standard_error(values, groups), standard_error(values[order], groups[order])
    assert one == pytest.approx(other, nan_ok=True)


def test_it_is_the_spread_of_the_mean_over_drawn_scenes():
    """A thousand test sets of 40 scenes, each shown twice with nearly the same outcome."""
    generator = torch.Generator().manual_seed(0)
    scenes = (torch.rand(1000, 40, generator=generator) < 0.7).double().repeat_interleave(2, 1)
    flipped = torch.rand(1000, 80, generator=generator) < 0.05
    sets = torch.where(flipped, 1 - scenes, scenes)
    spread = sets.mean(1).std().item()
    told = sum(standard_error(each, PAIRS) for each in sets) / 1000
    as_coins = sum(standard_error(each) for each in sets) / 1000
    assert told == pytest.approx(spread, rel=0.05) and as_coins < 0.8 * spread


def test_the_sign_test_is_the_tail_of_fair_coins():
    assert Paired(0, 0, 1, 9).sign_test == pytest.approx(2 * (1 + 10) / 2**10)
    assert Paired(0, 0, 9, 1).sign_test == pytest.approx(2 * (1 + 10) / 2**10)
    assert Paired(0, 0, 3, 3).sign_test == 1 == Paired(0, 0, 0, 0).sign_test
    assert Paired(0, 0, 2000, 0).sign_test == pytest.approx(0, abs=1e-300)


def test_a_scene_that_is_won_twice_is_one_win():
    a, b = torch.zeros(80), torch.zeros(80)
    b[:10] = 1  # five scenes, both their clips
    by_clip, by_scene = paired(a, b), paired(a, b, PAIRS)
    assert (by_clip.ahead, by_clip.behind) == (10, 0) and (by_scene.ahead, by_scene.behind) == (5, 0)
    assert by_clip.difference == by_scene.difference == 0.125 and by_clip.error < 0.75 * by_scene.error
    assert by_clip.sign_test < 0.05 < by_scene.sign_test


def test_a_scene_that_is_won_and_lost_is_neither():
    a, b = torch.tensor([1.0, 0]).repeat(40), torch.tensor([0.0, 1]).repeat(40)
    assert paired(a, b, PAIRS) == Paired(0, 0, 0, 0)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="expected"):
        standard_error(torch.ones(3), torch.arange(4))
    with pytest.raises(ParameterError, match="expected"):
        standard_error(torch.ones(0))
    with pytest.raises(ParameterError, match="twice"):
        paired(torch.ones(3), torch.ones(4))
