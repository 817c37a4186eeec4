"""How far predicted hands are from true ones: mean and contact displacement of each hand in pixels (Ego4D's future hand prediction)."""

from __future__ import annotations

import numpy as np

from ivcore.errors import ParameterError

SIDES = ("left", "right")


def displacements(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """truth, found (N, 20) pixels: of five keyframes x and y of the left and of the right hand; truth has nan for a hand that is not seen.

    {side}_mean: mean distance over all keyframes in which the hand is seen, {side}_contact: over the contact frame alone, the last. nan for a hand that is
    never seen. ParameterError for other shapes, and for predictions that are not finite.
    """
    truth, found = (np.asarray(each, float) for each in (truth, found))
    if truth.shape != found.shape or truth.ndim != 2 or truth.shape[1] != 20 or not np.isfinite(found).all():
        raise ParameterError(
            f"found: {found.shape} for truth of {truth.shape}, expected finite numbers (N, 20) for both"
        )
    apart = np.linalg.norm((truth - found).reshape(-1, 5, 2, 2), axis=-1)
    scores = {}
    for row, side in enumerate(SIDES):
        for name, mine in (("mean", apart[:, :, row]), ("contact", apart[:, -1, row])):
            seen = mine[~np.isnan(mine)]
            scores[f"{side}_{name}"] = float(seen.mean()) if len(seen) else float("nan")
    return scores
