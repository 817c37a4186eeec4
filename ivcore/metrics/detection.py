"""Temporal action localization: average precision of scored segments, recall of the best few, fusion with video-level
scores (paper 4.3.1).

A prediction is right if its temporal IoU with a true segment of its class reaches the threshold and no better
prediction has taken that segment. The average precision of a class is the area under its interpolated precision; mAP is
the mean over the classes that occur. Papers report the mean of mAP over thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ivcore.errors import ParameterError
from ivcore.metrics.columns import Columns

THUMOS14 = (0.3, 0.4, 0.5, 0.6, 0.7)
ACTIVITYNET = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)  # also HACS and FineAction
EGO4D = (0.1, 0.2, 0.3, 0.4, 0.5)  # moment queries
TOLERANCE = 1e-3  # seconds


@dataclass(frozen=True)
class Events(Columns):
    """Segments of videos: video (N,) names, segment (N, 2) start and end in seconds, label int (N,), score (N,); truth
    has no scores.
    """

    video: np.ndarray
    segment: np.ndarray
    label: np.ndarray
    score: np.ndarray | None = None
    what, numbers = "events", 2


@dataclass(frozen=True)
class DetectionScores:
    """ap (thresholds, classes) of the `classes` that occur; recall (thresholds, k) of the k * n best predictions of
    each video and class with n true segments.
    """

    thresholds: tuple[float, ...]
    classes: tuple[int, ...]
    ap: np.ndarray
    recall: np.ndarray

    @property
    def map_per_threshold(self) -> np.ndarray:
        return self.ap.mean(1)

    @property
    def average_map(self) -> float:
        return float(self.ap.mean())


def tiou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Temporal IoU of segments (N, 2) and (M, 2) -> (N, M); 0 if both are points."""
    shared = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    shared = shared.clip(0)
    union = np.diff(a)[:, 0][:, None] + np.diff(b)[:, 0][None] - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def distinct(truth: Events, shortest: float = TOLERANCE) -> Events:
    """Truth without repeated segments (same video and label, both ends within 1e-3 s; the first is kept) and without
    segments shorter than `shortest` seconds, which no prediction can match. InternVideo's copy of the evaluator keeps
    these (shortest=0), which lowers its scores.
    """
    keep: list[int] = []
    kept: dict[tuple, list[np.ndarray]] = {}
    for row in np.flatnonzero(np.diff(truth.segment)[:, 0] >= shortest):
        before = kept.setdefault((truth.video[row], truth.label[row]), [])
        if not any((np.abs(truth.segment[row] - other) <= TOLERANCE).all() for other in before):
            before.append(truth.segment[row])
            keep.append(row)
    return truth.take(np.array(keep, int))


def detection_scores(
    truth: Events, found: Events, thresholds: Sequence[float] = ACTIVITYNET, best: Sequence[int] = (1, 5)
) -> DetectionScores:
    """Scores of `found` against `truth`, which `distinct` has cleaned.

    A class without predictions has AP 0; predictions of classes that do not occur do not count. Equal scores keep the
    given order. best: recall uses the k * n best predictions of a video that has n true segments of the class.
    ParameterError if there is no truth.
    """
    if not len(truth):
        raise ParameterError("truth: expected at least one segment to find")
    classes, positives = np.unique(truth.label, return_counts=True)
    found = found.take(np.argsort(-found.score, kind="stable"))
    right = np.zeros((len(thresholds), len(found)), bool)
    seen = np.zeros((len(thresholds), len(best), len(classes)))
    theirs = _rows(found)
    for (label, video), true_rows in _rows(truth).items():
        rows = theirs.get((label, video))
        if rows is None:
            continue
        overlap = tiou(found.segment[rows], truth.segment[true_rows])
        right[:, rows] = _matched(overlap, np.asarray(thresholds))
        place = np.searchsorted(classes, label)
        for column, k in enumerate(best):
            highest = overlap[: k * len(true_rows)].max(0)
            seen[:, column, place] += (highest >= np.asarray(thresholds)[:, None]).sum(1)
    ap = [average_precision(right[:, found.label == label], n) for label, n in zip(classes, positives)]
    recall = (seen / positives).mean(-1)
    return DetectionScores(tuple(thresholds), tuple(classes.tolist()), np.stack(ap, 1), recall)


def _rows(events: Events) -> dict[tuple, np.ndarray]:
    """(label, video) -> row numbers, in order."""
    order = np.lexsort((events.video, events.label))
    label, video = events.label[order], events.video[order]
    cuts = np.flatnonzero((label[1:] != label[:-1]) | (video[1:] != video[:-1])) + 1
    parts = np.split(order, cuts) if len(order) else []
    return {(int(events.label[part[0]]), str(events.video[part[0]])): part for part in parts}


def _matched(overlap: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Matches predictions (P, in falling score) to free true segments (G) at each threshold: bool (T, P)."""
    free = np.ones((len(thresholds), overlap.shape[1]), bool)
    right = np.zeros((len(thresholds), len(overlap)), bool)
    for row in np.flatnonzero(overlap.max(1) >= thresholds.min()):
        open_to = free & (overlap[row] >= thresholds[:, None])
        right[:, row] = open_to.any(1)
        best = np.where(open_to, overlap[row], -1).argmax(1)
        free[right[:, row], best[right[:, row]]] = False
    return right


def average_precision(right: np.ndarray, positives: int) -> np.ndarray:
    """Area under the interpolated precision of predictions in falling score: right bool (T, P), number of true segments
    `positives` -> (T,).
    """
    hits = right.cumsum(1)
    precision = hits / np.arange(1, right.shape[1] + 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    return (envelope * right).sum(1) / positives


def fuse_video_scores(
    found: Events, video_scores: Mapping[str, Sequence[float]], *, segments: int, classes: int = 2
) -> Events:
    """Labels class-agnostic segments by a classifier of whole videos: the `segments` best of each video, once for each
    of its `classes` best classes, with score sqrt(class score * segment score).

    video_scores: a score for each class of each video; if they are not all in [0, 1], softmax is applied.
    ParameterError for a video without scores.
    """
    parts = []
    for video in dict.fromkeys(found.video.tolist()):
        if video not in video_scores:
            raise ParameterError(f"video scores: none for the video {video}")
        rows = np.flatnonzero(found.video == video)
        rows = rows[np.argsort(-found.score[rows], kind="stable")[:segments]]
        chances = _probabilities(video_scores[video])
        for label in np.argsort(-chances, kind="stable")[:classes]:
            score = np.sqrt(chances[label] * found.score[rows])
            parts.append(Events(found.video[rows], found.segment[rows], np.full(len(rows), label), score))
    return Events.together(parts) if parts else found


def _probabilities(scores) -> np.ndarray:
    scores = np.asarray(scores, np.float64).reshape(-1)
    if scores.min() >= 0 and scores.max() <= 1:
        return scores
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()
