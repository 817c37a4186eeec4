"""The clips that a stage trains on, as batches, and those of a batch that a figure shows."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ivcore.data import memory, sources
from ivcore.data.batches import Batches, fitting


def training_batches(records, batch_size: int, seed: int, *, num_workers: int = 0, **how) -> Batches:
    """Batches of training clips of `records`; smaller ones, with a word, where the set has fewer clips than `batch_size`.

    how: in_memory, num_frames, stride, size and what else `data.sources.training_clips` takes.
    """
    source = sources.training_clips(records, seed=seed, **how)
    return Batches(source, fitting(batch_size, len(source)), seed, num_workers=num_workers)


def clips_of(batch: dict) -> Tensor:
    """The clips uint8 (B, T, H, W, 3) of a batch, one for each label: with repeated sampling the first crop of each."""
    video = batch["video"]
    return video[:, 0] if video.dim() == 6 else video


def random_rows(columns: dict, count: int, seed: int) -> dict:
    """`count` random videos of the columns of `data.memory.load`, in their order; those of a smaller count are among them."""
    order = np.random.default_rng(seed).permutation(len(columns["path"])).tolist()
    return memory.rows(columns, sorted(order[:count]))
