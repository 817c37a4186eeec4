"""Complementarity of two encoders: clips that only one gets right, and the similarity of their features, layer by
layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO, titled

LEAST = 5.0  # smallest part of a bar, in per cent, that gets a number
MOST_NUMBERS = 16  # number of layers up to which every cell gets a number


def overlap_bars(overlaps: Mapping[str, object], a: str = "A", b: str = "B", title: str | None = None):
    """A bar of all clips for each row: right in both models, in one only, in neither. -> Figure

    overlaps: row -> `metrics.overlap.ErrorOverlap`, such as for all clips, motion classes, appearance classes. Beside
    each bar are the oracle's top-1 (the upper bound of choosing between the two) and Cohen's kappa (0: errors as in
    independent models).
    """
    import matplotlib.pyplot as plt

    if not overlaps:
        raise ParameterError("overlaps: expected one row or more")
    parts = (
        ("both right", "both", OKABE_ITO[2], ""),
        (f"only {a}", "only_a", OKABE_ITO[0], "///"),
        (f"only {b}", "only_b", OKABE_ITO[1], "\\\\\\"),
        ("neither", "neither", "0.82", ""),
    )
    figure, axes = plt.subplots(figsize=(8, 1.3 + 0.5 * len(overlaps)), layout="constrained")
    left = np.zeros(len(overlaps))
    for label, field, colour, hatch in parts:
        shares = np.array([100 * getattr(each, field) / each.clips for each in overlaps.values()])
        axes.barh(range(len(overlaps)), shares, 0.7, left, color=colour, hatch=hatch, ec="white", lw=0, label=label)
        _numbers(axes, left, shares, plain=not hatch)
        left += shares
    _beside(axes, overlaps)
    figure.legend(loc="outside lower center", ncols=4, fontsize=9)
    return titled(figure, title)


def _numbers(axes, left: np.ndarray, shares: np.ndarray, plain: bool) -> None:
    box = None if plain else {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"}
    for y, (start, share) in enumerate(zip(left, shares)):
        if share >= LEAST:
            axes.text(start + share / 2, y, f"{share:.0f}", ha="center", va="center", fontsize=9, bbox=box)


def _beside(axes, overlaps) -> None:
    """Writes oracle and kappa to the right of the bars."""
    axes.text(102, -0.62, "oracle   kappa", fontsize=9, va="center", color="0.35")
    for y, each in enumerate(overlaps.values()):
        kappa = "–" if math.isnan(each.kappa) else f"{each.kappa:.2f}".replace("-", "−")
        axes.text(102, y, f"{100 * each.oracle:5.1f}      {kappa}", fontsize=9, va="center")
    axes.set_yticks(range(len(overlaps)), overlaps)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), ylim=(len(overlaps) - 0.5, -0.8), xlabel="% of clips")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def cka_heatmap(
    matrix, rows: str, columns: str, names: tuple[Sequence, Sequence] | None = None, title: str | None = None
):
    """CKA of the layers of two encoders: 1 if equal up to rotation and scale, 0 if unrelated. -> Figure

    matrix: `metrics.cka.cka_matrix`, (layers of `rows`, layers of `columns`), the first layer at the bottom left.
    names: of the layers, by default 0, 1, 2, …. The largest value of each row is framed.
    """
    import matplotlib.pyplot as plt

    values = np.asarray(matrix, float)
    if values.ndim != 2 or not values.size:
        raise ParameterError(f"matrix: expected (layers, layers), got {values.shape}")
    names = names or tuple(range(size) for size in values.shape)
    if (len(names[0]), len(names[1])) != values.shape:
        raise ParameterError(f"names: {len(names[0])} and {len(names[1])} do not fit {values.shape}")
    cell = 0.42 if max(values.shape) <= MOST_NUMBERS else 7 / max(values.shape)
    size = 1.9 + cell * values.shape[1], 1.3 + cell * values.shape[0]
    figure, axes = plt.subplots(figsize=(max(size[0], 3.4), max(size[1], 2.6)), layout="constrained")
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1, origin="lower")
    _name_layers(axes, names, rows, columns)
    if max(values.shape) <= MOST_NUMBERS:
        _write_cells(axes, values)
    _frame(axes, values)
    figure.colorbar(image, ax=axes, label="linear CKA; each row's maximum is framed", aspect=30, pad=0.02)
    if title:
        axes.set_title(title, loc="left")
    return figure


def _name_layers(axes, names, rows: str, columns: str) -> None:
    slant = {"rotation": 50, "ha": "right", "rotation_mode": "anchor"}
    long = max(len(str(name)) for name in names[1]) > 3
    axes.set_xticks(range(len(names[1])), names[1], fontsize=9, **(slant if long else {}))
    axes.set_yticks(range(len(names[0])), names[0], fontsize=9)
    axes.set(xlabel=columns, ylabel=rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write_cells(axes, values: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if value > 0.55 else "white"
            text = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
            text = text.replace("0.", ".", 1) if abs(value) < 0.995 else text
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)


def _frame(axes, values: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    for row, line in enumerate(values):
        if np.isfinite(line).any():
            corner = (np.nanargmax(line) - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, ec=OKABE_ITO[3], lw=2, zorder=3))
