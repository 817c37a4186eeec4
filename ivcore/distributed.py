"""The processes that share one training run: which of them this is, and what they tell each other.

`torchrun` starts them and says in the environment how many there are. They become a group with `init_process_group`, or with the first
thing that they tell each other; a process on its own answers itself. Importing this module does not import torch.

Ranks that share a loss follow one rule: each returns its share, the mean of the shares is the loss of the joined batch, and so the mean
of the ranks' gradients is its gradient.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from ivcore.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_BUCKET = 2**26  # bytes of one message


def world() -> int:
    """How many processes there are: the size of their group, before there is one what the environment says (WORLD_SIZE), else 1."""
    group = _group()
    return group.get_world_size() if group else int(os.environ.get("WORLD_SIZE") or 1)


def rank() -> int:
    """Which of them this is, from 0."""
    group = _group()
    return group.get_rank() if group else int(os.environ.get("RANK") or 0) if world() > 1 else 0


def _group():
    """torch.distributed where this process is in a group. Nobody is in one before torch has been imported."""
    dist = sys.modules.get("torch.distributed")
    return dist if dist and dist.is_available() and dist.is_initialized() else None


def patience() -> float:
    """Seconds that one rank waits for another before the run ends: $IVCORE_TIMEOUT, half an hour where it is not set."""
    given = os.environ.get("IVCORE_TIMEOUT") or "1800"
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e7:
        raise UserError(f"IVCORE_TIMEOUT = {given!r}: expected seconds, more than 0 and less than 1e7")
    return seconds


def init_process_group(device: torch.device | None = None) -> None:
    """Join the processes that the environment names (WORLD_SIZE, RANK, MASTER_ADDR, MASTER_PORT); alone, or in a group already: nothing.

    Tensors on the CPU travel by gloo, those on a GPU by NCCL. torchrun's store lives longer than a run: IVCORE_GROUP tells the groups of
    its runs apart.
    """
    if world() == 1:
        return
    import torch
    import torch.distributed as dist

    if device is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    if dist.is_initialized():
        return
    on_gpu = device.type == "cuda" if device is not None else torch.cuda.is_available()
    store, rank, world_size = next(iter(dist.rendezvous("env://")))
    store = dist.PrefixStore(os.environ.get("IVCORE_GROUP", ""), store)
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    most = timedelta(seconds=patience())
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=most)


def _joined():
    """torch.distributed, with this process in its group; None for a process on its own."""
    init_process_group()
    return _group() if world() > 1 else None


# ---- tensors


def gather(x: Tensor) -> Tensor:
    """(B, …) of each rank -> (world*B, …) in order of rank, on every rank; all must have the same shape.

    Gradients flow back to the rank a row came from, summed over all ranks that used it.
    """
    return _gather_function().apply(x) if _joined() else x


@functools.cache
def _gather_function() -> type:
    import torch
    import torch.distributed as dist

    # The second names are those of torch before 2.13.
    all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
    reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor

    class Gather(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            joined = x.new_empty((world() * len(x), *x.shape[1:]))
            all_gather(joined, x.contiguous())
            return joined

        @staticmethod
        def backward(ctx, gradient: Tensor) -> Tensor:
            own = gradient.new_empty((len(gradient) // world(), *gradient.shape[1:]))
            reduce_scatter(own, gradient.contiguous())
            return own

    return Gather


def mean(x: Tensor) -> Tensor:
    """The mean over ranks of a tensor, the same on all; no gradient passes."""
    x = x.detach()
    if dist := _joined():
        x = x.clone() if x.is_floating_point() else x.float()
        dist.all_reduce(x)
        x = x / world()
    return x


def all_reduce_mean_(tensors: Sequence[Tensor]) -> None:
    """Replace tensors, the same list on every rank, by their means over ranks; many small ones travel in one message."""
    import torch

    dist = _joined()
    for bucket in _buckets(tensors) if dist else ():
        flat = torch.cat([x.flatten() for x in bucket])
        dist.all_reduce(flat)
        means = (flat / world()).split([x.numel() for x in bucket])
        for x, value in zip(bucket, means, strict=True):
            x.copy_(value.view_as(x))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type together, up to _BUCKET bytes."""
    open_buckets: dict[tuple, list[Tensor]] = {}
    for x in tensors:
        bucket = open_buckets.setdefault((x.dtype, x.device), [])
        if bucket and sum(y.nbytes for y in bucket) + x.nbytes > _BUCKET:
            yield bucket.copy()
            bucket.clear()
        bucket.append(x)
    yield from open_buckets.values()


def broadcast_params(model: nn.Module) -> None:
    """Give the model the weights and buffers that it has on rank 0."""
    if dist := _joined():
        for x in model.state_dict().values():
            dist.broadcast(x, 0)


# ---- plain values, none of which waits for a GPU


def all_reduce_max(values: Sequence[float]) -> list[float]:
    """Of each number the largest on any rank."""
    dist = _joined()
    if not dist:
        return list(values)
    import torch

    joined = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(joined, dist.ReduceOp.MAX)
    return joined.tolist()


def barrier() -> None:
    """Wait until every rank of the group is here; where none has been formed there is nobody to wait for."""
    if _group():
        all_reduce_max([0])


def broadcast_object(value: Callable):
    """What `value()` gives on rank 0, which alone calls it."""
    dist = _joined()
    if not dist:
        return value()
    import torch

    box = [value() if rank() == 0 else None]
    dist.broadcast_object_list(box, 0, device=torch.device("cpu"))
    return box[0]


def all_gather_object(value) -> list:
    """The value of every rank, in order, on every rank."""
    dist = _joined()
    if not dist:
        return [value]
    values = [None] * world()
    dist.all_gather_object(values, value)
    return values
