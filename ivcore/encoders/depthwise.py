"""A depthwise 3x3x3 convolution of tokens over time and space; the number of tokens and the device decide the method.

torch's three-dimensional depthwise convolution has a slow backward pass on a CPU: for 4 x 4 x 4 tokens, one matrix product a
channel takes less than half its time. For large grids the matrices would need too much memory.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

LARGEST = 128  # tokens


def depthwise_conv3d(x: Tensor, height: int, conv: nn.Conv3d) -> Tensor:
    """x (B, t, h*w, C) with h = height -> (B, t, h*w, C). conv: depthwise, 3x3x3, padding 1."""
    grid = (x.shape[1], height, x.shape[2] // height)
    if _fits(x, grid):
        return _as_matrices(x.flatten(1, 2), grid, conv.weight, conv.bias).view(x.shape)
    device = x.device.type
    volume = rearrange(x, "b t (h w) d -> b d t h w", h=height)
    # In bfloat16 the CPU's depthwise convolution gives wrong gradients on some processors.
    volume = volume.to(conv.weight.dtype) if device == "cpu" else volume
    with torch.autocast(device, enabled=device != "cpu" and torch.is_autocast_enabled(device)):
        return rearrange(conv(volume).to(x.dtype), "b d t h w -> b t (h w) d")


def _fits(x: Tensor, grid: tuple[int, int, int]) -> bool:
    """Whether x is on a CPU, its grid is small, and the matrices need at most twice the memory of the tokens x (B, …)."""
    places = grid[0] * grid[1] * grid[2]
    return x.device.type == "cpu" and places <= min(LARGEST, 2 * len(x))


def _as_matrices(x: Tensor, grid: tuple[int, int, int], weight: Tensor, bias: Tensor) -> Tensor:
    """x (B, t*h*w, C), weight (C, 1, 3, 3, 3), bias (C,) -> (B, t*h*w, C), zero padded: the same result, up to rounding."""
    places = x.shape[1]
    matrices = F.pad(weight.flatten(1), (0, 1))[:, _taps(*grid).flatten()].view(-1, places, places)
    return torch.baddbmm(bias[:, None, None], x.permute(2, 0, 1), matrices).permute(1, 2, 0)


@cache
@torch.inference_mode(False)  # the cached table must also work in training
def _taps(t: int, h: int, w: int) -> Tensor:
    """int64 (from, to): the number of the kernel weight (0 to 26) between two positions, 27 for none."""
    places = torch.cartesian_prod(torch.arange(t), torch.arange(h), torch.arange(w)).view(-1, 3)
    offset = places[:, None] - places[None, :] + 1
    near = ((offset >= 0) & (offset <= 2)).all(-1)
    return torch.where(near, offset @ torch.tensor([9, 3, 1]), 27)
