"""Untrimmed videos with what happens when: which are trained on, and their features as sequences that a head for localization reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore.data import formats, shapes, splits
from ivcore.data.formats.segments import UntrimmedVideo
from ivcore.data.records import require_some
from ivcore.errors import UserError

SOURCE = "moving shapes, untrimmed"


@dataclass(frozen=True)
class UntrimmedSet:
    """missing: how many videos of the annotations are not there. past_end: segments that end after their video, as released files have them."""

    videos: list[UntrimmedVideo]
    classes: list[str]
    source: str
    missing: int = 0

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def past_end(self) -> int:
        return sum(s.end > v.duration for v in self.videos if v.duration for s in v.segments)


def untrimmed_splits(
    annotations: str = "", test_annotations: str = "", root: str = "", *, subset: str = "training", test_subset: str = "validation",
    max_bad: float | None = None, run_dir=None, features: bool = False, **generated,
) -> list[UntrimmedSet]:  # fmt: skip
    """Training, validation and test videos. Validation is held out of the training subset, by the videos' names (see `splits`).

    annotations: a file that `formats.read_segments` reads, "" for moving shapes, whose fields `generated` are. test_annotations: another one for
    `test_subset`, "" for the same. features: the videos' features are given, so their files need not be there.
    FormatError with file and line for a label that training does not have, and where a subset is not in the file.
    """
    source = annotations or SOURCE
    if not annotations:
        folder = shapes.build(shapes.Shapes(parts=("untrimmed",), **generated))
        annotations, root = str(folder / "activitynet.json"), str(folder / "untrimmed")
    train = formats.read_segments(annotations, root or None, subset=subset)
    number = formats.segment_labels(train)
    if not number:
        raise UserError(f"{annotations}: no video of the subset {subset!r} has a segment")
    test = formats.read_segments(test_annotations or annotations, root or None, subset=test_subset, labels=number)
    given = {"train": train, "val": None, "test": test}
    if features:
        held_out = {v.path for v in train if splits.number_by_name(v.path) < splits.SHARE}
        records = {"train": [v for v in train if v.path not in held_out], "val": [v for v in train if v.path in held_out]}  # fmt: skip
        records, missing = records | {"test": test}, dict.fromkeys(given, 0)
    else:
        require_some([video.path for video in train], annotations)
        parted = splits.part(given, max_bad=max_bad, run_dir=run_dir)
        records, missing = parted.records, parted.missing
        print("".join(f"{line}\n" for line in parted.notes), end="")
    return [UntrimmedSet(some, list(number), source, missing[split]) for split, some in records.items()]


@dataclass(frozen=True)
class FeatureSequence:
    """A video as (T, C) features. Feature i is about the second first + i * step; segments (n, 2) in seconds, labels (n,)."""

    id: str
    features: Tensor
    first: float
    step: float
    duration: float
    segments: np.ndarray
    labels: np.ndarray

    def on_grid(self, seconds) -> Tensor:
        return torch.as_tensor((np.asarray(seconds, np.float32).reshape(-1, 2) - self.first) / self.step)

    def in_seconds(self, grid: Tensor) -> np.ndarray:
        return (grid.double().numpy() * self.step + self.first).clip(0, self.duration)

    def resized(self, length: int) -> FeatureSequence:
        """Interpolated to `length` features over the whole video, as ActionFormer's configurations of ActivityNet, HACS and FineAction have it."""
        features = F.interpolate(self.features.T[None], length, mode="linear", align_corners=False)[0].T
        step = self.duration / length
        return replace(self, features=features.contiguous(), first=step / 2, step=step)


def sequence(video: UntrimmedVideo, features: np.ndarray, first: float, step: float, duration: float, classes: Sequence[str], agnostic: bool = False) -> FeatureSequence:  # fmt: skip
    """agnostic: all classes are one, for proposals that something else gives classes to. UserError for features that are no (T, C) of numbers."""
    if features.ndim != 2 or not len(features) or not np.isfinite(features).all():
        raise UserError(f"{video.id}: features of shape {features.shape}, must be finite numbers (T, C)")
    number = {name: 0 if agnostic else label for label, name in enumerate(classes)}
    segments = np.array([(s.start, s.end) for s in video.segments], np.float64).reshape(-1, 2)
    labels = np.array([number[s.label] for s in video.segments], np.int64)
    values = torch.from_numpy(np.array(features, np.float32))
    return FeatureSequence(video.id, values, first, step, duration, segments, labels)


def published_features(folder: str, video: UntrimmedVideo, stride: int, span: int, default_fps: float) -> tuple:
    """(features (T, C), first, step, duration) of <folder>/<id>.npy, v_<id>.npy or <file>.npy: `span` frames every `stride` frames.

    UserError where it is not there, or no array.
    """
    for name in (video.id, f"v_{video.id}", os.path.basename(video.path)):
        try:
            features = np.load(f"{folder}/{name}.npy", allow_pickle=False)
            break
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}/{name}.npy: no array of numbers ({error})") from None
    else:
        raise UserError(f"{folder}: has no features of {video.id}, expected {video.id}.npy")
    fps = video.fps or default_fps
    duration = video.duration or (len(features) * stride + span) / fps
    return features, 0.5 * span / fps, stride / fps, duration


class TrainingSequences:
    """Items of a batch for `losses.localization`, of sequences no longer than `longest`: others are cut at random so that something happens in them.

    least: the share of a segment that has to lie inside for it to count. crop: (least, most) share of shorter sequences that is cut out, () for all.
    """

    def __init__(self, sequences: Sequence[FeatureSequence], collate, longest: int, seed: int, least: float = 0.5, crop: Sequence[float] = ()):  # fmt: skip
        self.sequences, self.collate, self.longest, self.seed = sequences, collate, longest, seed
        self.least, self.crop = least, tuple(crop)

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        return self.collate([self.item(int(index), epoch) for index in indices])

    def item(self, index: int, epoch: int) -> dict:
        sequence = self.sequences[index]
        segments, labels = sequence.on_grid(sequence.segments), torch.from_numpy(sequence.labels)
        start, stop = self._cut(sequence, np.random.default_rng((self.seed, epoch, index)))
        if stop - start < len(sequence.features):
            whole = segments[:, 1] - segments[:, 0]
            segments = segments.clamp(start, stop)
            kept = segments[:, 1] - segments[:, 0] >= self.least * whole
            segments, labels = segments[kept], labels[kept]
        return {"features": sequence.features[start:stop], "segments": segments - start, "labels": labels}

    def _cut(self, sequence: FeatureSequence, rng) -> tuple[int, int]:
        length = len(sequence.features)
        if length <= self.longest and not self.crop:
            return 0, length
        share = rng.uniform(*self.crop) if self.crop else 1.0
        keep = max(1, min(self.longest, round(share * length)))
        segments = sequence.on_grid(sequence.segments)
        for _ in range(100):
            start = int(rng.integers(length - keep + 1))
            inside = segments.clamp(start, start + keep)
            if ((inside[:, 1] - inside[:, 0]) >= self.least * (segments[:, 1] - segments[:, 0])).any():
                break
        return start, start + keep
