"""Where a stage's training clips come from: from memory for small sets, from files for large ones. Both feed `Batches`.

Either way what an item shows is a pure function of (seed, epoch, index), so a resumed run sees what an uninterrupted one would.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from ivcore.data.clips import Clips
from ivcore.video import augment, sampling


class FromMemory:
    """Decoded videos -> batches dict(video uint8 (B, T, size, size, 3), label int64 (B,), path list), cropped a batch at a time.

    columns: what `data.decoded.load` gives. Frames: `num_frames` every `stride`, from a random start, or as `sampler(length, rng=...)`
    takes them. Crops: MultiScaleCrop at `scales`, mirrored with probability `flip`.
    """

    def __init__(
        self,
        columns: dict,
        *,
        num_frames: int,
        stride: int,
        size: int,
        seed: int,
        scales=augment.SCALES,
        flip: float = 0.0,
        sampler: Callable | None = None,
    ):
        self.columns, self.seed, self.size = columns, seed, size
        self.sampler = sampler or partial(sampling.dense, num_frames=num_frames, stride=stride)
        self.scales, self.flip = scales, flip

    def __len__(self) -> int:
        return len(self.columns["video"])

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        import torch

        rng = np.random.default_rng([self.seed, epoch, *indices[:4].tolist()])
        length = self.columns["video"].shape[1]
        frames = np.stack([self.sampler(length, rng=rng) for _ in indices])
        video = self.columns["video"][indices[:, None], frames]
        return {
            "video": augment.multi_scale_crop_batch(video, self.size, rng, self.scales, self.flip),
            "label": torch.from_numpy(self.columns["label"][indices]),
            "path": [self.columns["path"][i] for i in indices],
        }


def from_files(
    records,
    *,
    num_frames: int,
    stride: int,
    size: int,
    seed: int,
    scales=augment.SCALES,
    transform: Callable | None = None,
    sampler: Callable | None = None,
    repeats: int = 1,
    **options,
) -> Clips:
    """Clips of video files for a stage: dense frames or `sampler`'s, `transform(video, rng)`, by default MultiScaleCrop at `scales`.

    With `repeats` > 1 an item's video is (repeats, T, size, size, 3): several transformed clips of one decode. Other options are
    those of `Clips`.
    """
    sampler = sampler or partial(sampling.dense, num_frames=num_frames, stride=stride)
    transform = transform or partial(_multi_scale, size=size, scales=tuple(scales))
    if repeats > 1:
        transform = partial(_repeated, times=repeats, transform=transform)
    return Clips(records, sampler, seed=seed, transform=transform, **options)


def _multi_scale(video: np.ndarray, rng: np.random.Generator, size: int, scales) -> np.ndarray:
    return augment.multi_scale_crop(video, size, rng, scales)


def _repeated(video: np.ndarray, rng: np.random.Generator, times: int, transform: Callable) -> np.ndarray:
    return augment.repeat(video, times, transform, rng)


def fine_tuning(
    video: np.ndarray, rng: np.random.Generator, size: int, flip: float = 0.5, erase: float = 0.25
) -> np.ndarray:
    """RandAugment, RandomResizedCrop, flip, random erasing: the published fine-tuning augmentation. (T, H, W, 3) -> (T, size, size, 3)"""
    video = augment.rand_augment(video, rng)
    video = augment.random_resized_crop(video, size, rng)
    return augment.erase(augment.flip(video, rng, flip), rng, erase)
