"""Moves and cuts batches: a tensor, or a dict or tuple of tensors and lists, whose first axis is the clips."""

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
    """Cuts a batch into at most `count` pieces; yields (piece, its share of the clips).

    Clips 2j and 2j + 1 stay together, so that mixup and cutmix mix the same pairs with any number of pieces or ranks.
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
    """The number of clips in a batch."""
    if isinstance(batch, dict):
        return size(next(iter(batch.values())))
    return size(batch[0]) if _is_columns(batch) else len(batch)


def _is_columns(batch) -> bool:
    """Whether the batch is a tuple, or a list of tensors as torch's collate makes it: one entry for each kind of data."""
    return isinstance(batch, tuple) or (isinstance(batch, list) and bool(batch) and isinstance(batch[0], torch.Tensor))


def _slice(batch, where: slice):
    if isinstance(batch, dict):
        return {name: _slice(value, where) for name, value in batch.items()}
    if _is_columns(batch):
        return type(batch)(_slice(value, where) for value in batch)
    return batch[where]
