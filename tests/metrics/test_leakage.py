"""The leak of a mask: by hand on small clips, by formula on large ones."""

import pytest
import torch

from ivcore import masking
from ivcore.errors import ParameterError
from ivcore.metrics.leakage import copied, leak, nearest


def seeded():
    return torch.Generator().manual_seed(0)


def test_nearest_is_the_nearest_and_the_earlier_of_two():
    mask = torch.tensor([[True, False, True, False, True, True]])  # one cell, six slots
    source, gap = nearest(mask, 6)
    assert source.tolist() == [[1, 1, 1, 3, 3, 3]] and gap.tolist() == [[1, 0, 1, 0, 1, 2]]


def test_cells_do_not_borrow_from_each_other():
    mask = torch.tensor([[True, False, True, False]])  # two slots of two cells: the first is never visible
    source, gap = nearest(mask, 2)
    assert source.tolist() == [[0, 1, 2, 3]] and gap.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9])
def test_tubes_leak_nothing(ratio):
    contents = torch.ones(4, 8 * 16, 3)  # a still clip, where any copy would be perfect
    found = leak(contents, masking.tube(4, (8, 4, 4), ratio, seeded()), (8, 4, 4))
    assert (found.seen, found.gap, found.explained) == (0, 0, 0)


def test_frame_masks_give_a_still_clip_away():
    still = torch.randn(4, 1, 16, 5, generator=seeded()).expand(4, 8, 16, 5).flatten(1, 2)
    found = leak(still, masking.frame(4, (8, 4, 4), 0.75, seeded()), (8, 4, 4))
    assert found.seen == 1 and found.explained == pytest.approx(1, abs=1e-6)


def test_noise_cannot_be_copied():
    noise = torch.randn(16, 8 * 64, 32, generator=seeded())
    found = leak(noise, masking.random(16, (8, 8, 8), 0.5, seeded()), (8, 8, 8))
    assert found.seen > 0.9 and 0 <= found.explained < 1e-3


def test_leaked_variance_is_the_square_of_the_correlation():
    shared = torch.randn(64, 1, 16, 32, generator=seeded())
    own = torch.randn(64, 8, 16, 32, generator=seeded())
    contents = (0.6**0.5 * shared + 0.4**0.5 * own).flatten(1, 2)  # correlation 0.6 at any distance
    found = leak(contents, masking.frame(64, (8, 4, 4), 0.5, seeded()), (8, 4, 4))
    assert found.explained == pytest.approx(0.36, abs=0.02)


@pytest.mark.parametrize("ratio", [0.5, 0.75, 0.9])
def test_random_masks_show_a_hidden_cell_elsewhere_as_often_as_chance_says(ratio):
    mask = masking.random(64, (8, 14, 14), ratio, seeded())
    seen = leak(torch.ones(64, 1568, 1), mask, (8, 14, 14)).seen
    assert seen == pytest.approx(1 - ratio**7, abs=0.01)


def test_copied_fills_from_the_nearest_slot_and_is_grey_where_there_is_none():
    clip = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1).repeat(1, 8, 8, 3)  # frame number everywhere
    mask = torch.zeros(4, 4, dtype=torch.bool)  # four slots of two frames, 2 x 2 cells
    mask[1, 0], mask[:, 3] = True, True
    out = copied(clip, mask.flatten(), (2, 4, 4))
    assert (out[2, :4, :4] == 0).all() and (out[3, :4, :4] == 1).all()  # slot 0, frame by frame
    assert (out[:, 4:, 4:] == 140).all()
    assert torch.equal(out[:, :4, 4:], clip[:, :4, 4:]) and (clip[2] == 2).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="do not fit grid"):
        leak(torch.ones(1, 8, 2), torch.ones(1, 9, dtype=torch.bool), (2, 2, 2))
    with pytest.raises(ParameterError, match="hides nothing"):
        leak(torch.ones(1, 8, 2), torch.zeros(1, 8, dtype=torch.bool), (2, 2, 2))
