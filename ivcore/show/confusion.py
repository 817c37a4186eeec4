"""A readable confusion matrix: shares of each true class in per cent, for up to about twenty classes."""

from __future__ import annotations

import numpy as np

from ivcore.errors import ParameterError

CELL = 0.36  # inches: fits "100" in 9 points
LETTER = 0.08  # inches for each letter of a name in 9 points
MOST = 30  # largest number of classes with numbers and names
FAINTEST = 0.5  # smallest per cent that is written


def confusion_matrix(matrix, names, title: str | None = None):
    """-> Figure; colours and numbers are the per cent of each true class (row) predicted as each class (column).

    matrix: counts (K, K), rows true classes, columns predictions, as from `metrics.recognition.confusion`. names: K
    class names. Classes without a clip stay empty.
    """
    import matplotlib.pyplot as plt

    counts = np.asarray(matrix, float)
    if counts.ndim != 2 or counts.shape != (len(names), len(names)):
        raise ParameterError(
            f"matrix: expected ({len(names)}, {len(names)}) for {len(names)} names, got {counts.shape}"
        )
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = CELL * min(len(names), MOST) + 0.6
    room = LETTER * max(map(len, names)) if len(names) <= MOST else 0  # for the names on the left and below
    figure, axes = plt.subplots(
        figsize=(side + max(1.6, room + 1.0), side + max(1.4, room + 0.6)), layout="constrained"
    )
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    _name(axes, names)
    if len(names) <= MOST:
        _write(axes, shares)
    figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.7, pad=0.02)
    right = np.trace(counts) / max(counts.sum(), 1)
    axes.set_title(f"{title or 'Confusion'}: accuracy {100 * right:.1f} %", loc="left", x=0)
    return figure


def _name(axes, names) -> None:
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if len(names) > MOST:
        return
    places = range(len(names))
    axes.set_yticks(places, names, fontsize=9)
    slant = {"rotation": 50, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(places, names, fontsize=9, **(slant if max(map(len, names)) > 3 else {}))
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1)
    axes.tick_params(which="minor", length=0)


def _write(axes, shares: np.ndarray) -> None:
    for row, column in zip(*np.nonzero(shares >= FAINTEST)):
        share = shares[row, column]
        colour = "white" if share > 55 else "black"
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=9, color=colour)
