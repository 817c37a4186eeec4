"""A fixed number of views of each clip, drawn once: what a frozen encoder computes of them can be kept for every epoch."""

import numpy as np
import torch
from torch.utils.data import default_collate


class CachedViews:
    """Item v * N + i is clip i of a source of N clips as the source shows it in epoch v, for `cached_views` epochs.

    source: has `batch(indices, epoch)` or `item(index, epoch)`, such as `data.sources.training_clips` gives.
    """

    def __init__(self, source, cached_views: int = 1):
        self.source, self.cached_views = source, cached_views

    def __len__(self) -> int:
        return self.cached_views * len(self.source)

    @property
    def paths(self) -> list[str]:
        """The file of every view."""
        return self.source.paths * self.cached_views

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        del epoch  # nothing is drawn anew
        views, rows = np.divmod(indices, len(self.source))
        parts = [self._of(rows[views == view], int(view)) for view in np.unique(views)]
        places = np.concatenate([np.flatnonzero(views == view) for view in np.unique(views)])
        back = np.argsort(places)
        return {name: _ordered([part[name] for part in parts], back) for name in parts[0]}

    def _of(self, rows: np.ndarray, view: int) -> dict:
        if hasattr(self.source, "batch"):
            return self.source.batch(rows, view)
        return default_collate([self.source.item(int(row), view) for row in rows])


def _ordered(columns: list, back: np.ndarray):
    if isinstance(columns[0], torch.Tensor):
        return torch.cat(columns)[torch.from_numpy(back)]
    together = [value for column in columns for value in column]
    return [together[i] for i in back]
