"""COCO's average precision of boxes: over IoU from 0.50 to 0.95, at 101 recalls, with at most 100 boxes a picture."""

from __future__ import annotations

import numpy as np

from ivcore.errors import ParameterError
from ivcore.metrics.frame_map import Boxes, iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = 100


def coco_ap(truth: Boxes, found: Boxes) -> dict[str, float]:
    """{"ap", "ap50", "ap75"}: means over the classes that have a true box, and over IoU thresholds. `frame` names the
    pictures; boxes may be in any unit.

    Equal scores keep the given order. Crowds and box sizes are not distinguished. ParameterError if there is no true
    box.
    """
    if not len(truth):
        raise ParameterError("truth: expected at least one box to find")
    each = np.stack(
        [
            _of_class(truth.take(truth.label == label), found.take(found.label == label))
            for label in np.unique(truth.label)
        ]
    )
    at = {"ap": each, "ap50": each[:, 0], "ap75": each[:, 5]}
    return {name: float(values.mean()) for name, values in at.items()}


def _of_class(truth: Boxes, found: Boxes) -> np.ndarray:
    """Average precision at each threshold (10,)."""
    scores, right = [], []
    for frame in np.unique(found.frame):
        real = truth.box[truth.frame == frame]
        mine = found.take(np.flatnonzero(found.frame == frame))
        mine = mine.take(np.argsort(-mine.score, kind="stable")[:MOST])
        scores.append(mine.score)
        right.append(_matched(mine.box, real))
    if not scores:
        return np.zeros(len(THRESHOLDS))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hits = np.concatenate(right)[order].cumsum(0)
    precision = hits / np.arange(1, len(hits) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    recall = hits / len(truth)
    found_at = [np.searchsorted(recall[:, column], RECALLS, "left") for column in range(len(THRESHOLDS))]
    whole = np.vstack([precision, np.zeros((1, len(THRESHOLDS)))])
    return np.array([whole[rows, column].mean() for column, rows in enumerate(found_at)])


def _matched(boxes: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Matches boxes (N, 4), best first, to true ones (M, 4) at each threshold: bool (N, 10). Each takes the free true
    box that overlaps it most.
    """
    right = np.zeros((len(boxes), len(THRESHOLDS)), bool)
    if not len(real):
        return right
    overlap = iou(boxes[:, None], real[None])
    for column, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(real), bool)
        for row in range(len(boxes)):
            mine = np.where(free, overlap[row], -1)
            best = len(real) - 1 - mine[::-1].argmax()  # on a tie the last, as published
            if mine[best] >= min(threshold, 1 - 1e-10):
                right[row, column] = True
                free[best] = False
    return right
