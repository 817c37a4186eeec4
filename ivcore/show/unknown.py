"""Figures of uncertainty: distributions over the probabilities of three classes, and scores of known against unknown
clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ivcore.show.style import OKABE_ITO, titled

BINS = 40
CORNERS = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])  # corners of a triangle with sides of 1


def triangles(alphas: Mapping[str, np.ndarray], names, samples: int = 1500, seed: int = 0):
    """A triangle for each Dirichlet distribution alpha (3,): every point is a sample of three probabilities. ->
    Figure
    """
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(1, len(alphas), figsize=(2.3 * len(alphas), 2.6), squeeze=False, layout="constrained")
    rng = np.random.default_rng(seed)
    for axes, (title, alpha) in zip(grid[0], alphas.items()):
        axes.plot(*CORNERS[[0, 1, 2, 0]].T, color="0.4", lw=1)
        axes.plot(*(rng.dirichlet(alpha, samples) @ CORNERS).T, ".", ms=2, alpha=0.4, color=OKABE_ITO[0])
        axes.plot(*(np.asarray(alpha) / np.sum(alpha) @ CORNERS), "D", ms=6, color=OKABE_ITO[3], mec="white")
        for (x, y), name, place in zip(CORNERS, names, ((0, -14), (0, -14), (0, 5))):
            axes.annotate(name, (x, y), xytext=place, textcoords="offset points", ha="center", fontsize=9)
        axes.set_title(title, fontsize=9)
        axes.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.16, 1.0))
        axes.set_axis_off()
    return figure


@dataclass(frozen=True)
class Compared:
    """A panel of `known_against_unknown`: values of known and unknown clips, and the threshold above which a clip
    counts as unknown.
    """

    known: np.ndarray  # or tensors, or anything that numpy accepts
    unknown: np.ndarray
    threshold: float


def known_against_unknown(rows: Mapping[str, Mapping[str, Compared]], title: str | None = None):
    """row -> column -> its values: histograms of known (filled) and unknown clips (line). -> Figure

    The panels of a row share their axis. It is logarithmic if all values are above 0 and half of them are below a tenth
    of the largest.
    """
    import matplotlib.pyplot as plt

    columns = list(next(iter(rows.values())))
    size = (1.0 + 3.2 * len(columns), 0.7 + 1.9 * len(rows))
    figure, grid = plt.subplots(
        len(rows), len(columns), figsize=size, squeeze=False, layout="constrained", sharex="row"
    )
    for line, (row, panels) in zip(grid, rows.items()):
        every = np.concatenate([np.asarray(part) for each in panels.values() for part in (each.known, each.unknown)])
        log = every.min() > 0 and np.median(every) < 0.1 * every.max()
        bins = np.geomspace(every.min(), every.max(), BINS) if log else np.linspace(every.min(), every.max(), BINS)
        for axes, (column, each) in zip(line, panels.items()):
            _panel(axes, each, bins)
            axes.set_xscale("log") if log else axes.locator_params(axis="x", nbins=5)
            axes.set_title(f"{column}" if axes in grid[0] else "", loc="left")
            axes.set_yticks([])
        line[0].set_ylabel(row)
    figure.supxlabel("uncertainty (higher: less known)", fontsize=10)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return titled(figure, title)


def _panel(axes, each: Compared, bins: np.ndarray) -> None:
    for values, name, look in (
        (each.known, "known classes", {"color": OKABE_ITO[0], "alpha": 0.45}),
        (each.unknown, "unknown classes", {"color": OKABE_ITO[3], "histtype": "step", "lw": 1.8}),
    ):
        axes.hist(np.asarray(values), bins, weights=np.full(len(values), 1 / len(values)), label=name, **look)
    axes.axvline(each.threshold, color="0.2", lw=1.2, ls="--", label="threshold")
