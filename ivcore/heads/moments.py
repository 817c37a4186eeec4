"""Moments of a long video: stretches in which one label leads, from the probabilities of windows that overlap.

The label that leads a window flickers. So every instant gets the mean of the windows around it, by default of all those that see it, and the label that
leads that mean has the instant. On embedded untrimmed videos this was the best of what was tried (docs/notes.md): a hidden Markov model whose labels
stay for some seconds either smoothed too little or swallowed short actions, for the probabilities of overlapping windows err together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ivcore.errors import ParameterError


@dataclass(frozen=True)
class Moment:
    """Windows [first, stop), from `start` to `end` seconds; score: mean probability of the label in them."""

    label: int
    first: int
    stop: int
    start: float
    end: float
    score: float


def smoothed(probabilities: np.ndarray, reach: int) -> np.ndarray:
    """(N, K) of windows in order -> of each the mean over itself and `reach` windows on either side, of fewer at the ends. ParameterError for reach < 0."""
    if reach < 0:
        raise ParameterError(f"moments: reach {reach} must be at least 0")
    count = len(probabilities)
    total, parts = probabilities.copy(), np.ones((count, 1), probabilities.dtype)
    for apart in range(1, min(reach, count - 1) + 1):
        total[apart:] += probabilities[:-apart]
        total[:-apart] += probabilities[apart:]
        parts[apart:] += 1
        parts[:-apart] += 1
    return total / parts


def moments(probabilities: np.ndarray, starts: np.ndarray, ends: np.ndarray, smooth: float) -> list[Moment]:
    """(N, K) of windows from `starts` to `ends` seconds (N,), rising -> stretches that cover the video without gaps.

    smooth: windows whose middles are no further than half of this many seconds from each other speak together. A stretch changes halfway between
    the middles of two windows.
    """
    middles = (starts + ends) / 2
    step = (middles[-1] - middles[0]) / max(len(middles) - 1, 1)
    labels = smoothed(probabilities, int(smooth / 2 / step + 1e-6) if step else 0).argmax(1)
    edges = np.concatenate(([starts[0]], (middles[1:] + middles[:-1]) / 2, [ends[-1]]))
    firsts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    stops = np.append(firsts[1:], len(labels))
    return [
        Moment(int(labels[a]), int(a), int(b), float(edges[a]), float(edges[b]), float(probabilities[a:b, labels[a]].mean()))
        for a, b in zip(firsts, stops)
    ]  # fmt: skip
