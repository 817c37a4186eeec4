"""The training clips of a stage for `Batches`: from memory for small sets, from files for large ones; the clips are the same."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ivcore.data.clips import Clips
from ivcore.data.memory import load
from ivcore.video import augment, sampling

# Decoded short side for random resized crops, as a multiple of the clip's: 320 pixels for 224, the usual size of Kinetics.
SPARE = 10 / 7


def training_clips(
    records: Sequence,
    *,
    num_frames: int,
    stride: int,
    seconds: float | None = None,
    size: int,
    seed: int,
    in_memory: bool = False,
    sampler: Callable | None = None,
    augmentation: str = "crop",
    scales: Sequence[float] = augment.SCALES,
    flip: float = 0.0,
    erase: float = 0.25,
    repeats: int = 1,
    **reading,
) -> Clips:
    """Training clips of `size` pixels, from files or decoded records (see `data.records`). in_memory: decode all files first and keep them.

    Frames: `num_frames`, `stride` apart, from a random start, or those of `sampler(length, rng=...)`. seconds: replaces
    `stride`, as in `data.views.Views`. augmentation: "crop", MultiScaleCrop at `scales`, or "strong", `fine_tuning` with `erase`; both mirror with probability `flip`. repeats above 1: an item has this number of
    transformed clips of the same frames, (repeats, T, size, size, 3). Videos are decoded large enough that no crop of the full height is
    enlarged. reading: max_bad, run_dir and strict, as in `Clips`.
    """
    strong = augmentation == "strong"
    short_side = round(size * SPARE) if strong else math.ceil(size / min(scales))
    transform = partial(fine_tuning, erase=erase) if strong else partial(multi_scale, scales=tuple(scales))
    transform = partial(transform, size=size, flip=flip)
    if repeats > 1:
        transform = partial(_repeated, times=repeats, transform=transform)
    records = load(records, short_side, **reading) if in_memory else records
    sampler = sampler or partial(sampling.dense, num_frames=num_frames, stride=stride)
    pace = partial(sampling.stride_of, num_frames=num_frames, seconds=seconds) if seconds else None
    return Clips(records, sampler, short_side, seed=seed, transform=transform, pace=pace, **reading)


def multi_scale(video: np.ndarray, rng: np.random.Generator, size: int, scales, flip: float) -> np.ndarray:
    """MultiScaleCrop and flip, the published pretraining augmentation. (T, H, W, 3) -> (T, size, size, 3)"""
    return augment.flip(augment.multi_scale_crop(video, size, rng, scales), rng, flip)


def fine_tuning(
    video: np.ndarray, rng: np.random.Generator, size: int, flip: float = 0.5, erase: float = 0.25
) -> np.ndarray:
    """RandAugment, RandomResizedCrop, flip, random erasing, the published fine-tuning augmentation. (T, H, W, 3) -> (T, size, size, 3)"""
    video = augment.rand_augment(video, rng)
    video = augment.random_resized_crop(video, size, rng)
    return augment.erase(augment.flip(video, rng, flip), rng, erase)


def _repeated(video: np.ndarray, rng: np.random.Generator, times: int, transform: Callable) -> np.ndarray:
    return augment.repeat(video, times, transform, rng)
