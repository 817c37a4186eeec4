"""The depthwise convolution of tokens equals the library's on small and large grids, gradients included."""

import pytest
import torch
from torch import nn

from ivcore.encoders.depthwise import depthwise_conv3d


def convolution(channels, dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Conv3d(channels, channels, 3, padding=1, groups=channels).to(dtype)


@pytest.mark.parametrize("clips", [1, 40])  # few clips go to the library, many through matrices
@pytest.mark.parametrize("grid", [(4, 4, 4), (1, 4, 4), (2, 3, 5), (1, 1, 1)])
def test_equal_to_the_library(clips, grid):
    conv = convolution(6)
    x = torch.randn(clips, *grid, 6, dtype=torch.float64, requires_grad=True)
    theirs = conv(x.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
    ours = depthwise_conv3d(x.flatten(2, 3), grid[1], conv)
    assert torch.allclose(ours, theirs.flatten(2, 3), atol=1e-12)
    inputs = (x, conv.weight, conv.bias)
    expected = torch.autograd.grad((theirs**2).sum(), inputs)
    for gradient, published in zip(torch.autograd.grad((ours**2).sum(), inputs), expected):
        assert torch.allclose(gradient, published, atol=1e-9)


def test_training_after_inference():
    conv, x = convolution(2, torch.float32), torch.randn(3, 3, 2, 2)
    with torch.inference_mode():
        depthwise_conv3d(x, 1, conv)
    depthwise_conv3d(x, 1, conv).square().sum().backward()
    ours, conv.weight.grad = conv.weight.grad, None
    conv(x.unflatten(2, (1, 2)).permute(0, 4, 1, 2, 3)).square().sum().backward()
    assert torch.allclose(ours, conv.weight.grad, atol=1e-5)
