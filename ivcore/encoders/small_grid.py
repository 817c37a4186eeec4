"""A depthwise 3x3x3 convolution of a small grid as one matrix product a channel.

The library's depthwise convolution in three dimensions goes back slowly on a CPU: on 4 x 4 x 4 tokens this takes less than half its
time. On large grids the matrices would be wasteful.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST = 128  # tokens


def fits(x: Tensor, grid: tuple[int, int, int]) -> bool:
    """Whether the grid is so small, on a CPU, and the matrices take no more memory than twice the tokens x (B, …) do."""
    places = grid[0] * grid[1] * grid[2]
    return x.device.type == "cpu" and places <= min(LARGEST, 2 * len(x))


def depthwise(x: Tensor, grid: tuple[int, int, int], weight: Tensor, bias: Tensor) -> Tensor:
    """x (B, t*h*w, C), weight (C, 1, 3, 3, 3), bias (C,) -> (B, t*h*w, C), zero padded: the same numbers, to rounding."""
    places = x.shape[1]
    matrices = F.pad(weight.flatten(1), (0, 1))[:, _taps(*grid).flatten()].view(-1, places, places)
    return torch.baddbmm(bias[:, None, None], x.permute(2, 0, 1), matrices).permute(1, 2, 0)


@cache
@torch.inference_mode(False)  # what is kept must serve training too
def _taps(t: int, h: int, w: int) -> Tensor:
    """int64 (from, to): which of the 27 weights carries one place to another; 27 for none."""
    places = torch.cartesian_prod(torch.arange(t), torch.arange(h), torch.arange(w)).view(-1, 3)
    offset = places[:, None] - places[None, :] + 1
    near = ((offset >= 0) & (offset <= 2)).all(-1)
    return torch.where(near, offset @ torch.tensor([9, 3, 1]), 27)
