"""Spatiotemporal localization: frame-mAP, the average precision of boxes with actions on keyframes (paper 4.3.1, AVA's
protocol).

A predicted box is compared only with the true box of its keyframe and class that has the largest IoU. It is right if
this IoU reaches the threshold and no better prediction has taken that box. The mean is over the scored classes that
occur: of AVA's 80 classes 60 are scored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ivcore.errors import ParameterError
from ivcore.metrics.columns import Columns
from ivcore.metrics.detection import average_precision

SCORED = 0.5  # IoU threshold of AVA


@dataclass(frozen=True)
class Boxes(Columns):
    """Boxes on keyframes: frame (N,) names, box (N, 4) as x1, y1, x2, y2 in shares of the picture, label int (N,),
    score (N,); truth has no scores.
    """

    frame: np.ndarray
    box: np.ndarray
    label: np.ndarray
    score: np.ndarray | None = None
    what, numbers = "boxes", 4

    def without(self, frames: Collection[str]) -> Boxes:
        """All boxes except those on the given keyframes, such as those that an evaluation leaves out."""
        return self.take(~np.isin(self.frame, list(frames)))


@dataclass(frozen=True)
class FrameScores:
    """ap: class -> its average precision, nan for a scored class without a true box; threshold: of IoU."""

    ap: dict[int, float]
    threshold: float

    @property
    def frame_map(self) -> float:
        return float(np.nanmean(list(self.ap.values())))


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of boxes (..., 4) and (..., 4), pair by pair -> (...); 0 if both are empty."""
    sides = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0)
    shared = sides.prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def frame_scores(truth: Boxes, found: Boxes, scored: Collection[int], threshold: float = SCORED) -> FrameScores:
    """Average precision of every `scored` class; other classes and their predictions do not count.

    An IoU equal to the threshold is enough. A class without predictions has AP 0. Equal scores keep the given order.
    Predicted boxes without an area do not count. ParameterError if no scored class has a true box.
    """
    found = found.take((found.box[:, 2:] > found.box[:, :2]).all(1))
    ap = {}
    for label in sorted(scored):
        wanted, given = (boxes.take(boxes.label == label) for boxes in (truth, found))
        ap[label] = _average_precision(wanted, given, threshold) if len(wanted) else float("nan")
    if np.isnan(list(ap.values())).all():
        raise ParameterError("truth: expected at least one box of a scored class")
    return FrameScores(ap, threshold)


def _average_precision(truth: Boxes, found: Boxes, threshold: float) -> float:
    """Average precision of one class."""
    found = found.take(np.argsort(-found.score, kind="stable"))
    nearest, overlap = _nearest(truth, found)
    right = np.zeros(len(found), bool)
    candidates = np.flatnonzero(overlap >= threshold)
    right[candidates[np.unique(nearest[candidates], return_index=True)[1]]] = True  # the best for each
    return float(average_precision(right[None], len(truth))[0])


def _nearest(truth: Boxes, found: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """For every predicted box: the true box on its keyframe with the largest IoU (the first on a tie), and that IoU, -1
    if there is none.
    """
    order = np.argsort(truth.frame, kind="stable")
    first, stop = (np.searchsorted(truth.frame[order], found.frame, side) for side in ("left", "right"))
    nearest, overlap = np.full(len(found), -1), np.full(len(found), -1.0)
    for place in range(int((stop - first).max(initial=0))):
        rows = np.flatnonzero(first + place < stop)
        other = order[first[rows] + place]
        better = (shared := iou(found.box[rows], truth.box[other])) > overlap[rows]
        nearest[rows[better]], overlap[rows[better]] = other[better], shared[better]
    return nearest, overlap
