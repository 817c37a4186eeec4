"""The processes that share one training run: who this one is, and what they tell each other.

`torchrun` starts them and says in the environment how many there are; `join` makes them a group. Without a group every function answers
as the only process there is. Ranks that share a loss follow one rule: each returns its share, the mean of the shares is the loss of
the joined batch, and so the mean of the ranks' gradients is its gradient.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

_BUCKET = 2**26  # bytes sent in one piece


def started() -> int:
    """How many processes torchrun has started together; they are a group from `join` on."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def join(device: torch.device) -> None:
    """Become one of the processes that the environment speaks of (WORLD_SIZE, RANK, MASTER_ADDR, MASTER_PORT); alone, or in a group already: nothing.

    Tensors on the CPU travel by gloo, those on a GPU by NCCL. torchrun's store lives longer than a run: IVCORE_GROUP tells the groups of
    its runs apart.
    """
    if started() < 2 or dist.is_initialized():
        return
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    store, rank, world = next(iter(dist.rendezvous("env://")))
    store = dist.PrefixStore(os.environ.get("IVCORE_GROUP", ""), store)
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world)


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if world() > 1 else 0


# ---- tensors


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
    x = x.clone() if x.is_floating_point() else x.float()
    dist.all_reduce(x)
    return x / world()


@torch.no_grad()
def average_(tensors: Sequence[Tensor]) -> None:
    """Replace tensors, the same list on every rank, by their means over ranks, many in one message."""
    for bucket in _buckets(tensors) if world() > 1 else ():
        flat = torch.cat([x.flatten() for x in bucket])
        dist.all_reduce(flat)
        parts = (flat / world()).split([x.numel() for x in bucket])
        for x, part in zip(bucket, parts, strict=True):
            x.copy_(part.view_as(x))


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors of one type together, up to _BUCKET bytes."""
    buckets: dict[tuple, list[list[Tensor]]] = {}
    for x in tensors:
        kind = buckets.setdefault((x.dtype, x.device), [[]])
        if sum(y.nbytes for y in kind[-1]) + x.nbytes > _BUCKET and kind[-1]:
            kind.append([])
        kind[-1].append(x)
    return [bucket for kind in buckets.values() for bucket in kind]


@torch.no_grad()
def as_first(model: nn.Module) -> None:
    """Give the model the weights and buffers that it has on rank 0."""
    if world() > 1:
        for x in model.state_dict().values():
            dist.broadcast(x, 0)


# ---- plain values, none of which waits for a GPU


def largest(values: Sequence[float]) -> list[float]:
    """Of each number the largest on any rank: what one asks for, all do."""
    if world() == 1:
        return list(values)
    joined = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(joined, dist.ReduceOp.MAX)
    return joined.tolist()


def from_first(value: Callable):
    """What `value()` gives on rank 0, which alone calls it."""
    if world() == 1:
        return value()
    box = [value() if rank() == 0 else None]
    dist.broadcast_object_list(box, 0, device=torch.device("cpu"))
    return box[0]


def from_all(value) -> list:
    """The value of every rank, in order, on every rank."""
    if world() == 1:
        return [value]
    boxes = [None] * world()
    dist.all_gather_object(boxes, value)
    return boxes
