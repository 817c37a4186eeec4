"""The processes that share one training run: who this one is, and what they tell each other.

Without a process group every function answers as the only process there is. Ranks that share a loss follow one rule: each returns
its share, the mean of the shares is the loss of the joined batch, and so the mean of the ranks' gradients is its gradient.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if world() > 1 else 0


def gather(x: Tensor) -> Tensor:
    """(B, …) of each rank -> (world*B, …) in order of rank, on every rank; all must have the same shape.

    Gradients flow back to the rank a row came from, summed over all ranks that used it.
    """
    return _Gather.apply(x) if world() > 1 else x


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        joined = x.new_empty((world() * len(x), *x.shape[1:]))
        dist.all_gather_single(joined, x.contiguous())
        return joined

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        mine = gradient.new_empty((len(gradient) // world(), *gradient.shape[1:]))
        dist.reduce_scatter_single(mine, gradient.contiguous())
        return mine


@torch.no_grad()
def mean(x: Tensor) -> Tensor:
    """The mean over ranks of a tensor, the same on all; no gradient passes."""
    if world() == 1:
        return x
    x = x.clone()
    dist.all_reduce(x)
    return x / world()
