"""Mismatched pairs for control experiments: each item is paired with another item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ivcore.data.batches import batch_of
from ivcore.errors import ParameterError

OTHER = "other "  # prefix of the names that belong to the other clip


def others(count: int, seed: int) -> Tensor:
    """int64 (count,): for each item the number of another item; each number occurs once. A single item gets itself."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other


def mismatched_clips(groups: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """int64 (N,): for each clip the number of a clip of another group, drawn with `rng`; each number occurs once.

    groups: (N,) numbers, see `data.groups`. If one group has more than half of the clips, as many clips as possible get a clip of another
    group, and the rest get another clip of their own group. A clip gets itself only if it is the only one.
    """
    _, group, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    order = np.lexsort((rng.permutation(len(group)), rng.permutation(len(sizes))[group]))  # group by group
    beyond = sizes.max() if len(sizes) > 1 else 1  # a shift by the size of the largest group leaves every group
    other = np.empty(len(group), np.int64)
    other[order] = np.roll(order, -beyond)
    return other


class WithMismatched:
    """Adds a mismatched clip to each clip of `source`. Its entries are in the batch, too, without the label, under names with the prefix `OTHER`.

    source: N clips. groups: (N,), see `mismatched_clips`. Pairs are drawn again in every epoch and depend only on seed and epoch.
    """

    def __init__(self, source, groups: Sequence[int], seed: int = 0):
        if len(groups) != len(source):
            raise ParameterError(f"groups: {len(groups)} do not fit {len(source)} clips")
        self.source, self.groups, self.seed = source, groups, seed
        self._drawn = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        if self._drawn[0] != epoch:
            self._drawn = (epoch, mismatched_clips(self.groups, np.random.default_rng([self.seed, epoch])))
        other = batch_of(self.source, self._drawn[1][indices], epoch)
        others = {OTHER + name: value for name, value in other.items() if name != "label"}
        return batch_of(self.source, indices, epoch) | others
