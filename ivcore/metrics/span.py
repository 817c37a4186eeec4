"""Recall of predicted time spans: R@n at a temporal IoU, and the mean IoU of the best answer (Ego4D's natural language
queries).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ivcore.errors import ParameterError
from ivcore.metrics.detection import tiou

THRESHOLDS, BEST = (0.3, 0.5), (1, 5)


def span_scores(truth: np.ndarray, found: Sequence[np.ndarray], thresholds: Sequence[float] = THRESHOLDS, best: Sequence[int] = BEST) -> dict[str, float]:  # fmt: skip
    """truth (N, 2) in seconds; found: for each query (n, 2), best first -> {"r1_0.3": …, "r5_0.5": …, "mean_iou": …}.

    A query is answered if one of its n best answers has an IoU strictly above the threshold, as published. A query
    without an answer counts as missed. ParameterError if there is no query, or not one answer list for each.
    """
    if not len(truth) or len(truth) != len(found):
        raise ParameterError(
            f"found: {len(found)} lists of answers, expected one for each of {len(truth)} queries, and at least one"
        )
    overlaps = [tiou(np.reshape(spans, (-1, 2)).astype(float), real[None])[:, 0] for real, spans in zip(truth, found)]
    first = [each[0] if len(each) else 0.0 for each in overlaps]
    scores = {
        f"r{n}_{threshold:g}": float(np.mean([bool((each[:n] > threshold).any()) for each in overlaps]))
        for n in best
        for threshold in thresholds
    }
    return scores | {"mean_iou": float(np.mean(first))}
