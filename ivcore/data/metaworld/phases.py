"""Finds when the robot reaches for a thing, grasps it and moves it, from their places."""

from collections.abc import Sequence

import numpy as np

PHASES = ("reach", "grasp", "move")
_NEAR = 0.04  # metres between fingers and thing
_CLOSES = 0.05  # of the gripper's opening, 1 = wide open
_STILL = 0.006  # metres: a smaller movement counts as standing still
_SHARE = 0.08  # of the whole path: from this share on a thing has left, or has not arrived


def way(points: np.ndarray, start: int) -> np.ndarray:
    """Mean distance (T,) in metres of a body's points (T, K, 3) from their places in frame `start`. Turning counts."""
    return np.linalg.norm(points - points[start], axis=-1).mean(-1)


def motion(bodies: Sequence[np.ndarray]) -> tuple[int, int] | None:
    """The frames [start, stop) in which any of the bodies, points (T, K, 3), moves; None if all stand still."""
    gone = np.max([way(points, 0) for points in bodies], axis=0)
    left = np.max([way(points, -1) for points in bodies], axis=0)
    if gone.max() < _STILL:
        return None
    least = max(_STILL / 2, _SHARE * gone.max())
    start, last = _first(gone > least, 0), len(left) - 1 - _first(left[::-1] > least, 0)
    return max(start - 1, 0), min(max(last + 2, start + 1), len(gone))


def _first(true: np.ndarray, otherwise: int) -> int:
    return int(np.argmax(true)) if true.any() else otherwise


def segments(gap: np.ndarray, opening: np.ndarray, moves: tuple[int, int] | None) -> list[tuple[str, int, int]]:
    """(phase, start, stop) in frames, in order and without overlap; a phase that takes no time is left out.

    gap (T,): metres from the fingers to the thing. opening (T,): of the gripper, 0 to 1. moves: from `motion`. Reaching lasts until the
    fingers are near. Grasping follows, until the first motion, if the gripper closes meanwhile; if it does not, as when a button is
    pressed, reaching lasts until the motion. If nothing moves, all is reaching.
    """
    if moves is None:
        return [("reach", 0, len(gap))]
    start, stop = moves
    near = min(_first(gap < _NEAR, start), start)
    closes = opening[near] - opening[start] > _CLOSES
    near = near if closes else start
    phases = [("reach", 0, near), ("grasp", near, start), ("move", start, stop)]
    return [(name, first, last) for name, first, last in phases if first < last]
