"""Compares two results that should be equal: every number of one against the same number of the other."""

from __future__ import annotations

import numpy as np

from ivcore.show.style import OKABE_ITO, titled


def agreement(pairs: dict, xlabel: str, ylabel: str, beside: dict | None = None, title: str | None = None):
    """A panel for each pair, titled with the largest difference; equal results lie on the diagonal. -> Figure

    pairs: name -> (x, y), arrays of one shape. beside: name -> (label, y) or None, a second result for comparison,
    drawn in grey.
    """
    import matplotlib.pyplot as plt

    size = (min(8.6, 2.9 * len(pairs) + 0.6), 3.4)
    figure, panels = plt.subplots(1, len(pairs), figsize=size, layout="constrained", squeeze=False)
    for panel, (name, (x, y)) in zip(panels[0], pairs.items()):
        x, y = _flat(x), _flat(y)
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        panel.axline(ends[:1] * 2, slope=1, color="0.6", lw=1, zorder=0)
        if beside and name in beside:
            label, other = beside[name]
            panel.plot(x, _flat(other), ".", color="0.72", ms=4, label=label, rasterized=True)
        panel.plot(x, y, "o", color=OKABE_ITO[0], ms=3.5, alpha=0.7, mec="none", label=ylabel, rasterized=True)
        if beside and name in beside:
            panel.legend(loc="upper left", markerscale=1.5, handletextpad=0.2)
        panel.set_title(f"{name}\nlargest difference {largest(x, y):.1e}", loc="left")
        panel.set_xlabel(xlabel)
    panels[0, 0].set_ylabel(ylabel)
    return titled(figure, title)


def largest(x, y) -> float:
    """The largest absolute difference between two arrays of one shape."""
    return float(np.abs(_flat(x) - _flat(y)).max())


def _flat(values) -> np.ndarray:
    values = values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    return values.astype(np.float64).ravel()
