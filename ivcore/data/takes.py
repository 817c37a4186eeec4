"""Clips that are drawn a few times and no more: what is computed of each can then be kept for every epoch."""

import numpy as np
import torch
from torch.utils.data import default_collate


class Takes:
    """Item t * N + i is clip i of a source of N clips as the source shows it in epoch t.

    source: has `batch(indices, epoch)` or `item(index, epoch)`, such as `data.sources.training_clips` gives.
    """

    def __init__(self, source, takes: int = 1):
        self.source, self.takes = source, takes

    def __len__(self) -> int:
        return self.takes * len(self.source)

    @property
    def paths(self) -> list[str]:
        """The file of every take."""
        return self.source.paths * self.takes

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        del epoch  # nothing is drawn anew
        takes, rows = np.divmod(indices, len(self.source))
        parts = [self._of(rows[takes == take], int(take)) for take in np.unique(takes)]
        places = np.concatenate([np.flatnonzero(takes == take) for take in np.unique(takes)])
        back = np.argsort(places)
        return {name: _ordered([part[name] for part in parts], back) for name in parts[0]}

    def _of(self, rows: np.ndarray, take: int) -> dict:
        if hasattr(self.source, "batch"):
            return self.source.batch(rows, take)
        return default_collate([self.source.item(int(row), take) for row in rows])


def _ordered(columns: list, back: np.ndarray):
    if isinstance(columns[0], torch.Tensor):
        return torch.cat(columns)[torch.from_numpy(back)]
    together = [value for column in columns for value in column]
    return [together[i] for i in back]
