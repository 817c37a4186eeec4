"""A batch as a tensor, or a dict or tuple of tensors and lists along one axis of clips: move it, cut it."""

import itertools
from collections.abc import Iterator

import torch


def to_device(batch, device: torch.device):
    """The batch with its tensors on the device."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: to_device(value, device) for name, value in batch.items()}
    if _is_columns(batch):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


def micro_batches(batch, count: int) -> Iterator[tuple]:
    """Cut a batch along its clips into at most `count` (piece, share of the clips).

    Clips 2j and 2j + 1 are never parted: what mixup and cutmix may mix is settled by the batch, and not by how many pieces or ranks share it.
    """
    clips = size(batch)
    pairs = -(-clips // 2)
    count = min(count, pairs)
    if count == 1:
        yield batch, 1
        return
    bounds = [min(2 * (pairs * i // count), clips) for i in range(count + 1)]
    for start, stop in itertools.pairwise(bounds):
        yield _slice(batch, slice(start, stop)), (stop - start) / clips


def size(batch) -> int:
    """How many clips a batch holds."""
    if isinstance(batch, dict):
        return size(next(iter(batch.values())))
    return size(batch[0]) if _is_columns(batch) else len(batch)


def _is_columns(batch) -> bool:
    """A tuple, or a list of tensors as torch's collate makes it: several things about each clip."""
    return isinstance(batch, tuple) or (isinstance(batch, list) and bool(batch) and isinstance(batch[0], torch.Tensor))


def _slice(batch, where: slice):
    if isinstance(batch, dict):
        return {name: _slice(value, where) for name, value in batch.items()}
    if _is_columns(batch):
        return type(batch)(_slice(value, where) for value in batch)
    return batch[where]
