"""Moments of a long video: stretches with one leading label, from the probabilities of overlapping windows.

The leading label flickers from window to window. So each window's probabilities are averaged with those of the windows
around it, by default all that overlap it, and the label with the highest mean is taken. On embedded untrimmed videos
this was the best method tried (docs/notes.md). A hidden Markov model whose labels last some seconds either smoothed too
little or swallowed short actions, because the errors of overlapping windows are correlated.
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
    """Probabilities (N, K) of windows in order -> the mean of each with `reach` windows on either side, fewer at the
    ends. ParameterError for reach < 0.
    """
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
    """Probabilities (N, K) of windows from `starts` to `ends` seconds (N,), rising -> stretches that cover the video
    without gaps.

    smooth: windows are averaged if their middles are at most half this many seconds apart. A stretch ends halfway
    between the middles of two windows.
    """
    middles = (starts + ends) / 2
    step = float(np.median(np.diff(middles))) if len(middles) > 1 else 0.0  # the last window may come sooner
    labels = smoothed(probabilities, int(smooth / 2 / step + 1e-6) if step else 0).argmax(1)
    edges = np.concatenate(([starts[0]], (middles[1:] + middles[:-1]) / 2, [ends[-1]]))
    firsts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    stops = np.append(firsts[1:], len(labels))
    return [
        Moment(int(labels[a]), int(a), int(b), float(edges[a]), float(edges[b]), float(probabilities[a:b, labels[a]].mean()))
        for a, b in zip(firsts, stops)
    ]  # fmt: skip
