"""Batches of the clips that a stage trains on, and the clips of a batch for figures."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ivcore.data import sources
from ivcore.data.batches import Batches, fitting
from ivcore.data.memory import DecodedVideos


def training_batches(records, batch_size: int, seed: int, *, num_workers: int = 0, **how) -> Batches:
    """Batches of training clips of `records`; if the set has fewer clips than `batch_size`, the batches are smaller,
    and a message says so.

    how: in_memory, num_frames, stride, size and the other arguments of `data.sources.training_clips`.
    """
    source = sources.training_clips(records, seed=seed, **how)
    return Batches(source, fitting(batch_size, len(source)), seed, num_workers=num_workers)


def clips_of(batch: dict) -> Tensor:
    """The clips uint8 (B, T, H, W, 3) of a batch, one for each label: the first crop if sampling is repeated."""
    video = batch["video"]
    return video[:, 0] if video.dim() == 6 else video


def random_records(decoded: DecodedVideos, count: int, seed: int) -> list:
    """`count` random readable records, in their order; a smaller count gives a subset of them."""
    order = np.random.default_rng(seed).permutation(len(decoded.path)).tolist()
    return decoded.readable(sorted(order[:count]))
