"""The clips that a stage trains on, as batches, and those of a batch that a figure shows."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ivcore.data import sources
from ivcore.data.batches import Batches, fitting
from ivcore.data.memory import DecodedVideos


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


def random_records(decoded: DecodedVideos, count: int, seed: int) -> list:
    """`count` random readable records, in their order; those of a smaller count are among them."""
    order = np.random.default_rng(seed).permutation(len(decoded.path)).tolist()
    return decoded.readable(sorted(order[:count]))
