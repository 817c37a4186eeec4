"""Navigation measures (paper 4.3.2, Table 8): NE, PL, SR, OSR, SPL and nDTW, as in VLN-CE and the released code.

A path is float (n, 3): positions in metres, the second number the height.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from ivcore.errors import ParameterError

SUCCESS_DISTANCE = 3.0  # metres
STEP = 0.25  # metres between positions of a dense reference
MEASURES = ("distance_to_goal", "path_length", "success", "oracle_success", "spl", "ndtw")


def navigation_scores(
    path, distances: Sequence[float], stopped: bool, reference, *, within: float = SUCCESS_DISTANCE
) -> dict[str, float]:
    """The MEASURES of one episode.

    path: (n, 3), the agent's positions. distances: (n,), geodesic metres from each position to the goal, from a
    simulator. stopped: whether the agent itself ended the episode. reference: (m, 3), the dense reference path. Success
    needs a stop within `within` metres of the goal, oracle success any position within. ParameterError for paths that
    do not fit.
    """
    path, reference = _path(path, "path"), _path(reference, "reference")
    if len(distances) != len(path):
        raise ParameterError(f"distances: {len(distances)} for {len(path)} positions, must be one each")
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    success = float(stopped and distances[-1] <= within)
    whole = max(distances[0], length)
    cost = fast_dtw(path, reference)
    return {
        "distance_to_goal": float(distances[-1]),
        "path_length": length,
        "success": success,
        "oracle_success": float(min(distances) <= within),
        "spl": success * (float(distances[0] / whole) if whole else 1.0),
        "ndtw": float(np.exp(-cost / (len(reference) * within))),
    }


def dense(waypoints, step: float = STEP) -> np.ndarray:
    """The path along waypoints (n, 3) with a position every `step` metres over the floor, (m, 3)."""
    waypoints = _path(waypoints, "waypoints")
    parts = []
    for a, b in itertools.pairwise(waypoints):
        across = float(np.hypot(b[0] - a[0], b[2] - a[2]))
        count = int(across / step)
        parts.append(a + (b - a) * (step * np.arange(max(count, 1)) / max(across, 1e-9))[:, None])
    return np.concatenate([*parts, waypoints[-1:]])


def fast_dtw(a, b, radius: int = 1) -> float:
    """FastDTW (Salvador and Chan 2007), which the published scores use: warps coarsely first, then only near that
    warping. Never below the cost of the exact warping.
    """
    return _fast(_path(a, "path"), _path(b, "reference"), radius)[0]


def _fast(a: np.ndarray, b: np.ndarray, radius: int):
    if min(len(a), len(b)) < radius + 2:
        return _warp(a, b, ((i, j) for i in range(len(a)) for j in range(len(b))))
    _, coarse = _fast(_halved(a), _halved(b), radius)
    near = range(-radius, radius + 1)
    cells = {(i + di, j + dj) for i, j in coarse for di in near for dj in near}
    fine = {(2 * i + di, 2 * j + dj) for i, j in cells for di in (0, 1) for dj in (0, 1)}
    inside = sorted((i, j) for i, j in fine if 0 <= i < len(a) and 0 <= j < len(b))
    return _warp(a, b, inside)


def _halved(path: np.ndarray) -> np.ndarray:
    even = path[: len(path) // 2 * 2]
    return (even[::2] + even[1::2]) / 2


def _warp(a: np.ndarray, b: np.ndarray, cells: Iterable[tuple[int, int]]):
    """(cost, matched pairs) of the cheapest warping through these cells, given row by row."""
    apart = np.linalg.norm(a[:, None] - b[None], axis=-1).tolist()
    best: dict[tuple[int, int], tuple[float, tuple[int, int]]] = {(-1, -1): (0.0, (-1, -1))}
    far = (float("inf"), (-1, -1))
    for i, j in cells:
        before = min(((i - 1, j), (i, j - 1), (i - 1, j - 1)), key=lambda cell: best.get(cell, far)[0])
        best[i, j] = (best.get(before, far)[0] + apart[i][j], before)
    cell = (len(a) - 1, len(b) - 1)
    cost, pairs = best[cell][0], []
    while cell != (-1, -1):
        pairs.append(cell)
        cell = best[cell][1]
    return cost, pairs[::-1]


def _path(values, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.shape[1] != 3 or not len(values) or not np.isfinite(values).all():
        raise ParameterError(f"{name}: has shape {values.shape}, must be finite numbers (positions, 3)")
    return values
