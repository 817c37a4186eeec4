"""What does not belong together, for controls: each item comes with another one, never with its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ivcore.data.batches import batch_of
from ivcore.errors import ParameterError

OTHER = "other "  # before the names of what belongs to the other clip


def others(count: int, seed: int) -> Tensor:
    """int64 (count,): for each item another one, all of them once. A single item gets itself."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other


def mismatched_clips(groups: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """int64 (N,): for each clip one of another group, drawn by `rng`; every clip is drawn once.

    groups: (N,) numbers, see `data.groups`. Where one group holds more than half of the clips there are not enough others: then as many as
    can be have one, and the rest have another clip of their own group. A clip gets itself only where it is the only one.
    """
    _, group, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    order = np.lexsort((rng.permutation(len(group)), rng.permutation(len(sizes))[group]))  # group by group
    beyond = sizes.max() if len(sizes) > 1 else 1  # a step as long as the largest group leads out of each
    other = np.empty(len(group), np.int64)
    other[order] = np.roll(order, -beyond)
    return other


class WithMismatched:
    """`source` with another clip for each clip: what the source gives for that one is in the batch too, its names after `OTHER`, without its label.

    source: N clips, of the groups (N,). Pairs are drawn anew in every epoch, and depend on seed and epoch alone.
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
