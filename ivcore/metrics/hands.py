"""Distance of predicted hands from true ones: mean and contact displacement of each hand in pixels (Ego4D's future hand
prediction).
"""

from __future__ import annotations

import numpy as np

from ivcore.errors import ParameterError

SIDES = ("left", "right")
MOMENTS = ("pre_45", "pre_30", "pre_15", "pre", "contact")


def displacements(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """truth, found (N, 20) pixels: x and y of the left and the right hand in five keyframes; truth has nan for a hand
    that is not visible.

    -> {side}_mean: mean distance over all keyframes in which the hand is visible; {side}_contact: over the contact
    frame alone, the last. Each of MOMENTS: over both hands in that keyframe alone. nan if a hand is never visible.
    ParameterError for other shapes, and for predictions that are not finite.
    """
    truth, found = (np.asarray(each, float) for each in (truth, found))
    if truth.shape != found.shape or truth.ndim != 2 or truth.shape[1] != 20 or not np.isfinite(found).all():
        raise ParameterError(
            f"found: {found.shape} for truth of {truth.shape}, expected finite numbers (N, 20) for both"
        )
    apart = np.linalg.norm((truth - found).reshape(-1, 5, 2, 2), axis=-1)
    scores = {}
    for row, side in enumerate(SIDES):
        scores |= {f"{side}_mean": _mean(apart[:, :, row]), f"{side}_contact": _mean(apart[:, -1, row])}
    return scores | {moment: _mean(apart[:, row]) for row, moment in enumerate(MOMENTS)}


def _mean(apart: np.ndarray) -> float:
    seen = apart[~np.isnan(apart)]
    return float(seen.mean()) if len(seen) else float("nan")
