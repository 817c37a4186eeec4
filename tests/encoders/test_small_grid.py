"""The depthwise convolution of small grids equals the library's, gradients included."""

import pytest
import torch
import torch.nn.functional as F

from ivcore.encoders.small_grid import depthwise, fits


@pytest.mark.parametrize("grid", [(4, 4, 4), (1, 4, 4), (2, 3, 5), (1, 1, 1)])
def test_equal_to_the_library(grid):
    torch.manual_seed(0)
    x, weight, bias = (
        torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((2, *grid, 6), (6, 1, 3, 3, 3), 6)
    )
    theirs = F.conv3d(x.permute(0, 4, 1, 2, 3), weight, bias, padding=1, groups=6).permute(0, 2, 3, 4, 1)
    ours = depthwise(x.flatten(1, 3), grid, weight, bias)
    assert torch.allclose(ours, theirs.flatten(1, 3), atol=1e-12)
    slopes = torch.autograd.grad((theirs**2).sum(), (x, weight, bias))
    for mine, slope in zip(torch.autograd.grad((ours**2).sum(), (x, weight, bias)), slopes):
        assert torch.allclose(mine, slope, atol=1e-10)


def test_large_grids_are_left_to_the_library():
    assert fits(torch.zeros(32, 64, 4), (4, 4, 4)) and not fits(torch.zeros(31, 64, 4), (4, 4, 4))
    assert not fits(torch.zeros(1000, 1568, 4), (8, 14, 14))


def test_training_after_inference():
    x, weight, bias = torch.randn(1, 6, 2), torch.randn(2, 1, 3, 3, 3, requires_grad=True), torch.zeros(2)
    with torch.inference_mode():
        depthwise(x, (3, 1, 2), weight, bias)
    depthwise(x, (3, 1, 2), weight, bias).sum().backward()
    assert weight.grad is not None
