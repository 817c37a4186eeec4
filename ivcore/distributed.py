"""The processes that share one training run: which of them this is, and what they tell each other.

`torchrun` starts them and says in the environment how many there are. They become a group with `init_process_group`, or with the first
thing that they tell each other; a process on its own answers itself. Importing this module does not import torch.

Ranks that share a loss follow one rule: each returns its share, the mean of the shares is the loss of the joined batch, and so the mean
of the ranks' gradients is its gradient.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from ivcore.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


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


def init_process_group(device: torch.device | None = None, alone: bool = False) -> None:
    """Join the processes that the environment names (WORLD_SIZE, RANK, MASTER_ADDR, MASTER_PORT); in a group already: nothing.

    Nor where there is one process, but if it is to be a group `alone`, as engines want that cut weights over ranks.

    Tensors on the CPU travel by gloo, those on a GPU by NCCL. torchrun's store lives longer than a run: IVCORE_GROUP tells the groups of
    its runs apart.
    """
    if world() == 1 and not alone:
        return
    import torch
    import torch.distributed as dist

    if device is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    if dist.is_initialized():
        return
    on_gpu = device.type == "cuda" if device is not None else torch.cuda.is_available()
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    if world() == 1:
        return dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    store, rank, world_size = next(iter(dist.rendezvous("env://")))
    store = dist.PrefixStore(os.environ.get("IVCORE_GROUP", ""), store)
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
    dist = _joined()
    if not dist:
        return x
    # torch.distributed.nn.functional.all_gather, which torch 2.13 gives up in favour of this module
    from torch.distributed import _functional_collectives as functional

    # The second name is that of torch before 2.13.
    gathered = getattr(functional, "all_gather_single_autograd", None) or functional.all_gather_tensor_autograd
    return gathered(x.contiguous(), 0, dist.group.WORLD)


def mean(x: Tensor) -> Tensor:
    """The mean over ranks of a tensor, the same on all; no gradient passes."""
    x = x.detach()
    if dist := _joined():
        x = x.clone() if x.is_floating_point() else x.float()
        dist.all_reduce(x)
        x = x / world()
    return x


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
