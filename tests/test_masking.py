"""Masks: counts as published, equal rows, structure of each kind, determinism."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore import masking
from ivcore.errors import ParameterError

KINDS = ("tube", "random", "frame")
grids = st.tuples(st.integers(1, 9), st.integers(1, 15), st.integers(1, 15))
ratios = st.floats(0, 1, exclude_max=True)


def as_grid(mask, grid):
    return mask.unflatten(1, grid)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# grid, ratio, hidden in a slot by the tube mask, hidden in all by the random mask: as the published generators count
PUBLISHED = [
    ((8, 14, 14), 0.9, 176, 1411),
    ((8, 14, 14), 0.75, 147, 1176),
    ((4, 7, 7), 0.9, 44, 176),
    ((8, 16, 16), 0.95, 243, 1945),
]


@pytest.mark.parametrize("grid, ratio, in_a_slot, anywhere", PUBLISHED)
def test_counts_are_the_published_ones(grid, ratio, in_a_slot, anywhere):
    tube = as_grid(masking.tube(3, grid, ratio, seeded()), grid)
    assert (tube.sum((2, 3)) == in_a_slot).all()
    assert (masking.random(3, grid, ratio, seeded()).sum(1) == anywhere).all()


@settings(max_examples=60)
@given(kind=st.sampled_from(KINDS), grid=grids, ratio=ratios, batch=st.integers(1, 5), seed=st.integers(0, 99))
def test_every_row_hides_the_same_number_and_a_seed_fixes_it(kind, grid, ratio, batch, seed):
    mask = masking.MASKS[kind](batch, grid, ratio, seeded(seed))
    t, h, w = grid
    assert mask.shape == (batch, t * h * w) and mask.dtype == torch.bool
    assert mask.sum(1).unique().numel() == 1
    assert torch.equal(mask, masking.MASKS[kind](batch, grid, ratio, seeded(seed)))


@settings(max_examples=40)
@given(grid=grids, ratio=ratios, seed=st.integers(0, 99))
def test_a_tube_is_the_same_in_all_slots_and_a_frame_mask_hides_whole_slots(grid, ratio, seed):
    tube = as_grid(masking.tube(2, grid, ratio, seeded(seed)), grid)
    assert (tube == tube[:, :1]).all()
    slots = as_grid(masking.frame(2, grid, ratio, seeded(seed)), grid).flatten(2)
    assert (slots.all(2) | ~slots.any(2)).all()
    assert (slots.all(2).sum(1) == int(ratio * grid[0])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_batch_differ_and_every_place_gets_its_turn(kind):
    mask = masking.MASKS[kind](2000, (6, 4, 4), 0.5, seeded())
    assert not torch.equal(mask[0], mask[1])
    assert (mask.float().mean(0) - 0.5).abs().max() < 0.07  # six standard deviations of 2000 draws


@pytest.mark.parametrize("ratio, hidden", [(0.25, 1), (0.5, 2), (0.75, 3), (0.9, 3), (0.99, 3)])
def test_running_cells_show_every_token_equally_often_and_never_none(ratio, hidden):
    mask = as_grid(masking.running_cell(5, (8, 6, 4), ratio, seeded()), (8, 6, 4))
    cells = mask.unflatten(2, (3, 2)).unflatten(4, (2, 2))
    assert (cells.sum((3, 5)) == hidden).all()
    assert (mask.sum(1) == 2 * hidden).all()


@settings(max_examples=30)
@given(grid=grids, ratio=ratios, seed=st.integers(0, 99))
def test_split_gives_each_token_once_in_order(grid, ratio, seed):
    mask = masking.random(3, grid, ratio, seeded(seed))
    visible, hidden = masking.split(mask)
    assert not mask.gather(1, visible).any() and mask.gather(1, hidden).all()
    assert (visible.diff(dim=1) > 0).all() and (hidden.diff(dim=1) > 0).all()
    assert visible.shape[1] + hidden.shape[1] == mask.shape[1]


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 1.5])
def test_a_ratio_outside_its_range_is_named(ratio):
    with pytest.raises(ParameterError, match=rf"mask ratio: {ratio} is not in \[0, 1\)"):
        masking.tube(1, (2, 2, 2), ratio)


def test_uneven_rows_are_refused():
    with pytest.raises(ParameterError, match=r"same number of tokens, not \[1, 2\]"):
        masking.split(torch.tensor([[True, False, False], [True, True, False]]))


def test_some_of_the_hidden_tokens_are_hidden_ones_in_order_and_another_choice_each_time():
    generator = torch.Generator().manual_seed(0)
    hidden = masking.split(masking.tube(3, (4, 8, 8), 0.75, generator))[1]
    first, second = (masking.some_of(hidden, 0.5, generator) for _ in range(2))
    assert first.shape == (3, hidden.shape[1] // 2)
    for row, every in zip(first, hidden):
        assert set(row.tolist()) < set(every.tolist()) and row.tolist() == sorted(row.tolist())
    assert not torch.equal(first, second)
    assert torch.equal(masking.some_of(hidden, 1.0, generator), hidden)
    with pytest.raises(ParameterError, match="share: 0 is not in"):
        masking.some_of(hidden, 0)
