"""Untrimmed videos with what happens when: which are trained on, and their features as sequences that a head for localization reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore import paths
from ivcore.data import egocentric, formats, groups, shapes, splits
from ivcore.data.formats.segments import UntrimmedVideo
from ivcore.data.records import require_some
from ivcore.errors import ParameterError, UserError

SOURCE, EGOCENTRIC = "moving shapes", "first-person scenes"
SEED = 31  # of the moving shapes: other test videos than those of notebook 32
FEW = 5  # of so many training videos, one is for choices


@dataclass(frozen=True)
class Release:
    """Files of a dataset as released, from its folder on, and what they call the parts to train and to test on."""

    annotations: str
    train: str = "training"
    test: str = "validation"
    scores: str = ""
    root: str = "videos"
    test_annotations: str = ""
    read: Callable = formats.read_segments


RELEASES = {
    "thumos14": Release("annotations/thumos14.json", "validation", "test"),
    "activitynet13": Release(
        "annotations/activity_net.v1-3.min.json", scores="annotations/uniformerv2_anet_16x10x3.json"
    ),
    "hacs_segments": Release(
        "annotations/HACS_segments_v1.1.1_af.json", scores="annotations/uniformerv2_hacs_16x10x3.json"
    ),
    "fineaction": Release("annotations/annotations_gt_af.json", scores="annotations/uniformerv2_fineaction.json"),
    "ego4d_mq": Release(
        "annotations/moments_train.json",
        "train",
        "val",
        "",
        "clips",
        "annotations/moments_val.json",
        formats.read_moments,
    ),
}
# What notebook 44 does not ask for: its videos are Ego4D's, or first-person scenes in the place of these.
MOMENT_QUERIES = {"release": "ego4d_mq", "annotations": "", "test_annotations": "", "video_scores": "", "class_agnostic": False}  # fmt: skip


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


def untrimmed_splits(params: Mapping, run_dir=None) -> tuple[list[UntrimmedSet], dict[str, tuple[float, ...]]]:
    """([training, validation and test videos], class scores of whole videos, {} for none), as the parameters of notebook 31 name them.

    Without annotations moving shapes are rendered. Validation is held out of the training subset, by the videos' names (see `splits`). Where
    features are given the videos' own files need not be there. FormatError with file and line for a label that training does not have, and where a
    subset is not in the file.
    """
    released, source = _release(params)
    train = released.read(released.annotations, released.root or None, subset=released.train)
    number = formats.segment_labels(train)
    if source == SOURCE:  # few videos do not show all that the others do
        number = {name: label for label, name in enumerate(shapes.config.KNOWN_ACTIONS)}
    if not number:
        raise UserError(f"{released.annotations}: no video of the subset {released.train!r} has a segment")
    tested = params["test_annotations"] and str(paths.resolve(params["test_annotations"]))
    tested = tested or released.test_annotations or released.annotations
    test = released.read(tested, released.root or None, subset=released.test, labels=number)
    given = {"train": train, "val": None, "test": test}
    if params["features"]:
        records = held_out(train, test) | {"test": test}
        missing = dict.fromkeys(given, 0)
    else:
        require_some([video.path for video in train], released.annotations)
        together = groups.of_one_video([*train, *test])
        parted = splits.part(given, together=together, max_bad=params["max_bad"], run_dir=run_dir)
        records, missing = parted.records, parted.missing
        print("".join(f"{line}\n" for line in parted.notes), end="")
    sets = [UntrimmedSet(records[split], list(number), source, missing[split]) for split in given]
    return sets, _scores(released.scores, train, number) if released.scores else {}


def _scores(file: str, train: list[UntrimmedVideo], number: dict[str, int]) -> dict[str, tuple[float, ...]]:
    """The scores of each video in the order of `number`: by label_id, or by alphabet in files without, which must then score all classes."""
    numbered = any(s.label_id is not None for video in train for s in video.segments)
    found, most = formats.read_video_scores(file, None if numbered else len(number)), max(number.values())
    if short := next((video for video, each in found.items() if len(each) <= most), None):
        raise ParameterError(
            f"video_scores: {file}: {len(found[short])} scores of {short}, but there is a class {most}"
        )
    return {video: tuple(each[row] for row in number.values()) for video, each in found.items()}


def _release(params: Mapping) -> tuple[Release, str]:
    """What the parameters name, with whole paths, and what the data are called."""
    scores = params["video_scores"] and str(paths.resolve(params["video_scores"]))
    if params["data"]:
        release, folder = RELEASES[params["release"]], Path(paths.resolve(params["data"]))
        if not (folder / release.annotations).exists():
            raise ParameterError(f"data = {params['data']!r}: has no {release.annotations}; `iv data mini --list` shows layouts")  # fmt: skip
        there = release.scores and (folder / release.scores).exists() and params["class_agnostic"]
        files = _in(folder, release)
        return replace(release, scores=scores or (str(folder / release.scores) if there else ""), **files), params["release"]  # fmt: skip
    if params.get("release") == MOMENT_QUERIES["release"]:
        release = RELEASES[params["release"]]
        folder = egocentric.build(egocentric.Egocentric.of(params["num_videos"]))
        return replace(release, **_in(folder, release)), EGOCENTRIC
    if not params["annotations"]:
        folder = shapes.build(shapes.Shapes(parts=("untrimmed",), seed=SEED, untrimmed=params["num_videos"]))
        return Release(str(folder / "activitynet.json"), root=str(folder / "untrimmed"), scores=scores), SOURCE
    file, root = (params[name] and str(paths.resolve(params[name])) for name in ("annotations", "video_root"))
    return Release(file, params["train_subset"], params["test_subset"], scores, root), Path(file).name


def _in(folder: Path, release: Release) -> dict[str, str]:
    names = {"annotations": release.annotations, "root": release.root, "test_annotations": release.test_annotations}
    return {name: str(folder / file) for name, file in names.items() if file}


def held_out(train: Sequence[UntrimmedVideo], test: Sequence[UntrimmedVideo]) -> dict[str, list]:
    """Of the videos that may not be there: one of FEW is for choices, by its name, with all clips of the same `video_uid`. What is tested on is left out."""
    of = lambda video: video.video_uid or video.id  # noqa: E731
    shown = {of(video) for video in test}
    train = [video for video in train if of(video) not in shown]
    ordered = dict.fromkeys(of(video) for video in sorted(train, key=lambda video: splits.number_by_name(video.path)))
    held = set(list(ordered)[: max(1, min(splits.MOST, len(ordered) // FEW))])
    if len(held) == len(ordered):
        raise UserError("a single training video: two are needed, one to make choices on")
    return {"train": [v for v in train if of(v) not in held], "val": [v for v in train if of(v) in held]}


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

    def edges(self) -> np.ndarray:
        """(T + 1,) seconds between which each feature counts: halfway to its neighbours, the first from 0 and the last to the end."""
        between = self.first + self.step * (np.arange(1, len(self.features)) - 0.5)
        return np.concatenate([[0.0], between.clip(0, self.duration), [self.duration]])

    def resized(self, length: int, first: float | None = None, step: float | None = None) -> FeatureSequence:
        """Interpolated to `length` features, about the seconds first + i * step; without these over the whole video evenly."""
        features = F.interpolate(self.features.T[None], length, mode="linear", align_corners=False)[0].T
        step = step or self.duration / length
        return replace(self, features=features.contiguous(), first=step / 2 if first is None else first, step=step)


def sequence(video: UntrimmedVideo, features: np.ndarray, first: float, step: float, duration: float, classes: Sequence[str], agnostic: bool = False) -> FeatureSequence:  # fmt: skip
    """agnostic: all classes are one, for proposals that something else gives classes to. UserError for features that are no (T, C) of numbers."""
    sound = (
        isinstance(features, np.ndarray) and features.dtype.kind in "fiu" and features.ndim == 2 and features.size > 0
    )
    if (
        not sound or not (np.abs(features) <= np.finfo(np.float32).max).all()
    ):  # neither NaN nor what float32 does not hold
        what = f"{features.dtype} {features.shape}" if isinstance(features, np.ndarray) else type(features).__name__
        raise UserError(f"{video.id}: features are {what}, must be finite numbers (T, C)")
    number = {name: 0 if agnostic else label for label, name in enumerate(classes)}
    segments = np.array([(s.start, s.end) for s in video.segments], np.float64).reshape(-1, 2)
    labels = np.array([number[s.label] for s in video.segments], np.int64)
    values = torch.from_numpy(np.array(features, np.float32))
    return FeatureSequence(video.id, values, first, step, duration, segments, labels)


def published_features(folder: str, video: UntrimmedVideo, stride: int, span: int, fps: float = 0.0) -> tuple:
    """(features (T, C), first, step, duration) of <folder>/<id>.npy, v_<id>.npy or <file>.npy: `span` frames every `stride` frames.

    stride 0: they cover the whole video evenly. fps: of the video, 0 for what the annotations say; where they say it too, `fps` counts, as
    in the published code. UserError where it is not there, or no array; ParameterError where nobody knows the rate.
    """
    for name in (video.id, f"v_{video.id}", os.path.basename(video.path)):
        try:
            features = np.load(f"{folder}/{name}.npy", allow_pickle=False)
            break
        except FileNotFoundError:
            continue
        except Exception as error:  # numpy raises many kinds at spoilt headers
            raise UserError(f"{folder}/{name}.npy: no array of numbers ({error})") from None
    else:
        raise UserError(f"{folder}: has no features of {video.id}, expected {video.id}.npy")
    if not stride and video.duration:
        step = video.duration / max(len(features), 1)
        return features, step / 2, step, video.duration
    if not (fps := fps or video.fps):
        raise ParameterError(
            f"default_fps = 0: annotations do not say the frames a second of {video.id}, must be above 0"
        )
    if not stride:
        raise ParameterError(f"feature_stride = 0: annotations do not say how long {video.id} is, must be at least 1")
    return features, 0.5 * span / fps, stride / fps, video.duration or (len(features) * stride + span) / fps


class TrainingSequences:
    """Items of a batch for `losses.localization`, of sequences no longer than `longest`: others are cut at random so that something happens in them.

    least: the share of a segment that has to lie inside for it to count. crop: the least share of a shorter sequence that is cut out, 1 for all.
    """

    def __init__(self, sequences: Sequence[FeatureSequence], collate, longest: int, seed: int, least: float = 0.5, crop: float = 1.0):  # fmt: skip
        self.sequences, self.collate, self.longest, self.seed = sequences, collate, longest, seed
        self.least, self.crop = least, crop

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
        if length <= self.longest and self.crop == 1:
            return 0, length
        keep = self.longest if length > self.longest else max(1, round(rng.uniform(self.crop, 1) * length))
        segments = sequence.on_grid(sequence.segments)
        for _ in range(100):
            start = int(rng.integers(length - keep + 1))
            inside = segments.clamp(start, start + keep)
            if ((inside[:, 1] - inside[:, 0]) >= self.least * (segments[:, 1] - segments[:, 0])).any():
                break
        return start, start + keep
