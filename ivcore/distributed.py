"""Process group of one training run: rank, world size and collective operations.

`torchrun` starts the processes and sets their number in the environment. `init_process_group`, or the first collective
call, joins them into a group. With a single process every collective returns its own value. Importing this module does
not import torch.

Rule for a loss shared by ranks: each rank returns its share, and the mean of the shares is the loss of the joined
batch. The mean of the ranks' gradients is then the gradient of that loss.
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
    """Number of processes: size of the group; before the group exists WORLD_SIZE from the environment, else 1."""
    group = _group()
    return group.get_world_size() if group else int(os.environ.get("WORLD_SIZE") or 1)


def rank() -> int:
    """Number of this process, from 0."""
    group = _group()
    return group.get_rank() if group else int(os.environ.get("RANK") or 0) if world() > 1 else 0


def _group():
    """torch.distributed if this process is in a group, else None. Before torch is imported there is no group."""
    dist = sys.modules.get("torch.distributed")
    return dist if dist and dist.is_available() and dist.is_initialized() else None


def patience() -> float:
    """Seconds a rank waits for another before the run ends: $IVCORE_TIMEOUT, or 1800. UserError outside (0, 1e7)."""
    given = os.environ.get("IVCORE_TIMEOUT") or "1800"
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e7:
        raise UserError(f"IVCORE_TIMEOUT = {given!r}: expected seconds, more than 0 and less than 1e7")
    return seconds


def init_process_group(device: torch.device | None = None, alone: bool = False) -> None:
    """Joins the group that the environment describes (WORLD_SIZE, RANK, MASTER_ADDR, MASTER_PORT), once.

    A single process forms no group, unless `alone`: sharding engines need a group of one.

    CPU tensors use gloo, GPU tensors NCCL. torchrun's store outlives a run; IVCORE_GROUP separates the groups of its
    runs.
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
    """torch.distributed after joining the group; None for a single process."""
    init_process_group()
    return _group() if world() > 1 else None


# ---- tensors


def gather(x: Tensor) -> Tensor:
    """(B, …) on each rank -> (world*B, …) in order of rank, on every rank. All ranks must pass the same shape.

    The gradient of a row returns to the rank it came from, summed over all ranks that used it.
    """
    dist = _joined()
    if not dist:
        return x
    # replaces torch.distributed.nn.functional.all_gather, which torch 2.13 deprecates
    from torch.distributed import _functional_collectives as functional

    # before torch 2.13 only the second name exists
    gathered = getattr(functional, "all_gather_single_autograd", None) or functional.all_gather_tensor_autograd
    return gathered(x.contiguous(), 0, dist.group.WORLD)


def mean(x: Tensor) -> Tensor:
    """Mean of a tensor over ranks, the same on every rank, without gradient."""
    x = x.detach()
    if dist := _joined():
        x = x.clone() if x.is_floating_point() else x.float()
        dist.all_reduce(x)
        x = x / world()
    return x


# ---- plain values, without waiting for a GPU


def all_reduce_max(values: Sequence[float]) -> list[float]:
    """Maximum of each number over ranks."""
    dist = _joined()
    if not dist:
        return list(values)
    import torch

    joined = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(joined, dist.ReduceOp.MAX)
    return joined.tolist()


def barrier() -> None:
    """Waits until every rank of the group has called it. Without a group it returns at once."""
    if _group():
        all_reduce_max([0])


def broadcast_object(value: Callable):
    """Calls `value()` on rank 0 only and returns its result on every rank."""
    dist = _joined()
    if not dist:
        return value()
    import torch

    box = [value() if rank() == 0 else None]
    dist.broadcast_object_list(box, 0, device=torch.device("cpu"))
    return box[0]


def all_gather_object(value) -> list:
    """Values of all ranks in order, on every rank."""
    dist = _joined()
    if not dist:
        return [value]
    values = [None] * world()
    dist.all_gather_object(values, value)
    return values
