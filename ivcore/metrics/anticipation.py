"""Short-term object interaction anticipation (Ego4D, arXiv 2110.07058): Top-5 mAP of boxes with noun, verb and time to
contact, in four variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivcore.errors import ParameterError
from ivcore.metrics.detection import average_precision

VARIANTS = ("noun", "noun_verb", "noun_ttc", "noun_verb_ttc")
IOU, SECONDS, K = 0.5, 0.25, 5


@dataclass(frozen=True)
class Interactions:
    """Interactions on one picture: box (N, 4) in pixels, noun and verb int (N,), seconds (N,) until contact, score
    (N,); truth has no scores.
    """

    box: np.ndarray
    noun: np.ndarray
    verb: np.ndarray
    seconds: np.ndarray
    score: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.noun)


def top5_map(truth: Sequence[Interactions], found: Sequence[Interactions], k: int = K) -> dict[str, float]:
    """Variant -> mean over the nouns that occur of the average precision; truth[i] and found[i] belong to the same
    picture.

    A prediction is right if a true thing has its noun and an IoU above 0.5, and, depending on the variant, the same
    verb and a time to contact within 0.25 s, and no better prediction has taken that thing. The best (k - 1) * n wrong
    predictions of a picture with n true things do not count, since nobody can say which of several things comes next.
    IoU counts corners as whole pixels, as published. Equal scores keep the given order. ParameterError without truth.
    """
    if len(truth) != len(found) or not sum(map(len, truth)):
        raise ParameterError(
            f"truth: {len(truth)} pictures with {sum(map(len, truth))} things, expected one or more, and {len(found)} pictures as found"
        )
    rows = [_judged(real, each, k) for real, each in zip(truth, found)]
    nouns, scores, right = (np.concatenate(column) for column in zip(*rows))
    order = np.argsort(-scores, kind="stable")
    nouns, right = nouns[order], right[order]
    classes, positives = np.unique(np.concatenate([each.noun for each in truth]), return_counts=True)
    means = {}
    for column, name in enumerate(VARIANTS):
        each = []
        for noun, count in zip(classes, positives):
            mine = right[nouns == noun, column]
            each.append(float(average_precision(mine[None, mine >= 0] == 1, count)[0]))
        means[name] = float(np.mean(each))
    return means


def _judged(real: Interactions, found: Interactions, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(noun, score, judgement (N, 4): 1 right, 0 wrong, -1 wrong but not counted) for the predictions of one picture,
    best first.
    """
    order = np.argsort(-found.score, kind="stable")
    right = np.zeros((len(found), len(VARIANTS)), int)
    if len(real) and len(found):
        overlap = _iou(found.box[order], real.box)
        noun = (found.noun[order][:, None] == real.noun) & (overlap > IOU)
        verb = found.verb[order][:, None] == real.verb
        near = np.abs(found.seconds[order][:, None] - real.seconds) <= SECONDS
        for column, fits in enumerate((noun, noun & verb, noun & near, noun & verb & near)):
            free = np.ones(len(real), bool)
            for row in np.flatnonzero(fits.any(1)):
                open_to = fits[row] & free
                if open_to.any():
                    right[row, column] = 1
                    free[np.where(open_to, overlap[row], -1).argmax()] = False
        wrong = 1 - right
        right[(wrong == 1) & (wrong.cumsum(0) <= (k - 1) * len(real))] = -1
    return found.noun[order], found.score[order], right


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of boxes (N, 4) and (M, 4) -> (N, M); corner pixels belong to the boxes."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]) + 1
    shared = sides.clip(0).prod(-1)
    areas = [(each[:, 2:] - each[:, :2] + 1).prod(-1) for each in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)
