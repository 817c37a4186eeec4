"""Where a stage's training clips come from: from memory for small sets, from files for large ones. Both feed `Batches`.

Either way what an item shows is the same pure function of (seed, epoch, index), so a resumed run sees what an uninterrupted one would, and
it does not matter where the videos lie or how many processes share them.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ivcore.data import memory as decoded
from ivcore.data.clips import Clips, at_stride, draw_clip, is_drawn
from ivcore.video import augment, sampling

SPARE = (
    10 / 7
)  # decoded short side for random resized crops: 320 pixels for 224, to which Kinetics is usually brought


def training_clips(
    records,
    *,
    in_memory: bool,
    size: int,
    scales: Sequence[float] = augment.SCALES,
    flip: float = 0.0,
    augmentation: str = "crop",
    erase: float = 0.25,
    max_bad: int | float | None = None,
    run_dir=None,
    strict: bool = False,
    **how,
):
    """Training clips of `size` pixels, from videos that are decoded once and kept, or file by file. They are the same either way, to the bit.

    augmentation: "crop", MultiScaleCrop at `scales`, or "strong", `fine_tuning` with `erase`; both mirror with probability `flip`. Videos are
    decoded so large that no crop of a video's whole height is enlarged. `how`: num_frames, stride, seed, and what else `FromMemory` takes.
    """
    strong = augmentation == "strong"
    short_side = round(size * SPARE) if strong else math.ceil(size / min(scales))
    how |= {"size": size, "scales": scales, "flip": flip}
    how["transform"] = partial(fine_tuning, size=size, flip=flip, erase=erase) if strong else None
    reading = {"max_bad": max_bad, "run_dir": run_dir, "strict": strict}
    if in_memory:
        return FromMemory(decoded.load(records, short_side, **reading), **how)
    return from_files(records, decode_size=short_side, **reading, **how)


class FromMemory:
    """Decoded videos -> batches dict(video uint8 (B, T, size, size, 3), label, index and draw int64 (B,), path list).

    columns: what `data.decoded.load` gives; in the place of an unreadable video stands the next good one, as in `Clips`.
    Frames: `num_frames` every `stride`, from a random start, or as `sampler(length, rng=...)` takes them. Then `transform(video, rng)`, by
    default MultiScaleCrop at `scales`, mirrored with probability `flip`; with `repeats` > 1 so many transformed clips of the same frames,
    (B, repeats, T, size, size, 3).
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
        transform: Callable | None = None,
        sampler: Callable | None = None,
        repeats: int = 1,
    ):
        self.columns, self.seed = columns, seed
        self.sampler = sampler or partial(sampling.dense, num_frames=num_frames, stride=stride)
        self.drawn, self.strides = is_drawn(self.sampler), columns.get("stride")
        self.transform = _transform(size, scales, flip, transform, repeats)
        self.index = np.asarray(columns.get("index", np.arange(len(columns["video"]))))
        records = np.arange(columns.get("records", len(self.index)))
        self.rows = np.searchsorted(self.index, records) % len(
            self.index
        )  # a record's, or the next good one's

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def paths(self) -> list[str]:
        """The file of every item."""
        return [self.columns["path"][row] for row in self.rows]

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        import torch

        rows = self.rows[indices]
        made = [self._clip(row, (self.seed, epoch, index)) for row, index in zip(rows, indices.tolist())]
        return {
            "video": torch.from_numpy(np.stack([video for video, _ in made])),
            "label": torch.from_numpy(np.asarray(self.columns["label"])[rows]),
            "index": torch.from_numpy(self.index[rows]),
            "draw": torch.tensor([draw for _, draw in made]),
            "path": [self.columns["path"][row] for row in rows],
        }

    def _clip(self, row: int, key: tuple) -> tuple:
        video = self.columns["video"][row]
        sampler = at_stride(self.sampler, self.strides[row]) if self.strides else self.sampler
        rng = np.random.default_rng(key)
        return draw_clip(len(video), video.__getitem__, sampler, self.drawn, self.transform, rng)


def from_files(
    records,
    *,
    num_frames: int,
    stride: int,
    size: int,
    seed: int,
    decode_size: int | None = None,
    scales=augment.SCALES,
    flip: float = 0.0,
    transform: Callable | None = None,
    sampler: Callable | None = None,
    repeats: int = 1,
    **options,
) -> Clips:
    """Clips of video files for a stage, with frames and transforms as in `FromMemory`. decode_size: None keeps the files' own size.

    Other options are those of `Clips`.
    """
    sampler = sampler or partial(sampling.dense, num_frames=num_frames, stride=stride)
    transform = _transform(size, scales, flip, transform, repeats)
    return Clips(records, sampler, decode_size, seed=seed, transform=transform, **options)


def _transform(size: int, scales, flip: float, transform: Callable | None, repeats: int) -> Callable:
    transform = transform or partial(_multi_scale, size=size, scales=tuple(scales), flip=flip)
    return transform if repeats == 1 else partial(_repeated, times=repeats, transform=transform)


def _multi_scale(video: np.ndarray, rng: np.random.Generator, size: int, scales, flip: float) -> np.ndarray:
    return augment.flip(augment.multi_scale_crop(video, size, rng, scales), rng, flip)


def _repeated(video: np.ndarray, rng: np.random.Generator, times: int, transform: Callable) -> np.ndarray:
    return augment.repeat(video, times, transform, rng)


def fine_tuning(
    video: np.ndarray, rng: np.random.Generator, size: int, flip: float = 0.5, erase: float = 0.25
) -> np.ndarray:
    """RandAugment, RandomResizedCrop, flip, random erasing: the published fine-tuning augmentation. (T, H, W, 3) -> (T, size, size, 3)"""
    video = augment.rand_augment(video, rng)
    video = augment.random_resized_crop(video, size, rng)
    return augment.erase(augment.flip(video, rng, flip), rng, erase)
