"""Untrimmed videos with timed segments: their splits, and their features as sequences for a localization head."""

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
SEED = 31  # of the moving shapes; gives other test videos than in notebook 32
FEW = 5  # one training video in FEW is held out for validation


@dataclass(frozen=True)
class Release:
    """Files of a released dataset, relative to its folder. train, test: the files' names of the training and the test part."""

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
# Parameters that notebook 44 does not have: its videos are Ego4D's, or generated first-person scenes.
MOMENT_QUERIES = {"release": "ego4d_mq", "annotations": "", "test_annotations": "", "video_scores": "", "class_agnostic": False}  # fmt: skip


@dataclass(frozen=True)
class UntrimmedSet:
    """missing: number of annotated videos without a file. past_end: number of segments that end after their video, as in released files."""

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
    """Returns ([training, validation, test set], video id -> class scores of the whole video, or {}), from the parameters of notebook 31.

    Without annotations, moving shapes are rendered. Validation is held out of the training subset, by the videos' names (see `splits`). If
    features are given, the video files need not exist. FormatError, with file and line, for a test label that training does not have, and for
    a subset that is not in the file. UserError if no training video has a segment.
    """
    released, source = _release(params)
    train = released.read(released.annotations, released.root or None, subset=released.train)
    number = formats.segment_labels(train)
    if source == SOURCE:  # a small set may lack some of the actions
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
    """The scores of each video in the order of `number`: by label_id, or in alphabetical order without ids (then the file must score all classes)."""
    numbered = any(s.label_id is not None for video in train for s in video.segments)
    found, most = formats.read_video_scores(file, None if numbered else len(number)), max(number.values())
    if short := next((video for video, each in found.items() if len(each) <= most), None):
        raise ParameterError(
            f"video_scores: {file}: {len(found[short])} scores of {short}, but there is a class {most}"
        )
    return {video: tuple(each[row] for row in number.values()) for video, each in found.items()}


def _release(params: Mapping) -> tuple[Release, str]:
    """Returns (the files that the parameters name, with absolute paths; the name of the data)."""
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
    """Splits training videos without reading them: by name, one in FEW goes to validation, with all clips of its `video_uid`. Drops test videos."""
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
    """A video as (T, C) features. Feature i is at the second first + i * step. segments: (n, 2) in seconds; labels: (n,)."""

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
        """(T + 1,) seconds: feature i covers edges i to i + 1, halfway to its neighbours; the first edge is 0, the last the video's end."""
        between = self.first + self.step * (np.arange(1, len(self.features)) - 0.5)
        return np.concatenate([[0.0], between.clip(0, self.duration), [self.duration]])

    def resized(self, length: int, first: float | None = None, step: float | None = None) -> FeatureSequence:
        """Interpolated to `length` features at the seconds first + i * step; by default, evenly over the whole video."""
        features = F.interpolate(self.features.T[None], length, mode="linear", align_corners=False)[0].T
        step = step or self.duration / length
        return replace(self, features=features.contiguous(), first=step / 2 if first is None else first, step=step)


def sequence(video: UntrimmedVideo, features: np.ndarray, first: float, step: float, duration: float, classes: Sequence[str], agnostic: bool = False) -> FeatureSequence:  # fmt: skip
    """A video's `FeatureSequence`. agnostic: merge all classes, for class-agnostic proposals. UserError unless features are finite (T, C)."""
    sound = (
        isinstance(features, np.ndarray) and features.dtype.kind in "fiu" and features.ndim == 2 and features.size > 0
    )
    if not sound or not (np.abs(features) <= np.finfo(np.float32).max).all():  # NaN, or too large for float32
        what = f"{features.dtype} {features.shape}" if isinstance(features, np.ndarray) else type(features).__name__
        raise UserError(f"{video.id}: features are {what}, must be finite numbers (T, C)")
    number = {name: 0 if agnostic else label for label, name in enumerate(classes)}
    segments = np.array([(s.start, s.end) for s in video.segments], np.float64).reshape(-1, 2)
    labels = np.array([number[s.label] for s in video.segments], np.int64)
    values = torch.from_numpy(np.array(features, np.float32))
    return FeatureSequence(video.id, values, first, step, duration, segments, labels)


def published_features(folder: str, video: UntrimmedVideo, stride: int, span: int, fps: float = 0.0) -> tuple:
    """(features (T, C), first, step, duration in seconds) of <folder>/<id>.npy, v_<id>.npy or <file>.npy: `span` frames every `stride` frames.

    stride=0: features cover the whole video evenly. fps: of the video; it has precedence over the annotations, as in the published code; 0 uses
    theirs. UserError if the file is missing or not an array; ParameterError if the frame rate or the duration is needed and unknown.
    """
    for name in (video.id, f"v_{video.id}", os.path.basename(video.path)):
        try:
            features = np.load(f"{folder}/{name}.npy", allow_pickle=False)
            break
        except FileNotFoundError:
            continue
        except Exception as error:  # numpy raises many kinds of errors for damaged headers
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
    """Batches for `losses.localization`. A sequence longer than `longest` features is cut at random so that it contains a segment.

    least: the share of a segment that must be inside the cut to keep it. crop: the smallest share of a shorter sequence to cut out; 1 keeps all.
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
