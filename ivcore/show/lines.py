"""A measure against what was changed: one line a condition, named where it ends."""

from __future__ import annotations


def lines(series: dict, xlabel: str, ylabel: str, title: str | None = None, top: float | None = None):
    """series: name -> (xs, ys). top: the upper end of the axis, which begins at 0. -> Figure"""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
    for (name, (xs, ys)), marker in zip(series.items(), "osD^vP"):
        (drawn,) = axes.plot(xs, ys, marker=marker, ms=6, lw=1.8, clip_on=False)
        place = {"xytext": (10, 0), "textcoords": "offset points", "va": "center", "color": drawn.get_color()}
        axes.annotate(name, (xs[-1], ys[-1]), annotation_clip=False, **place)
    axes.set(xlabel=xlabel, ylabel=ylabel, xticks=sorted({x for xs, _ in series.values() for x in xs}))
    top = top or 1.05 * max(y for _, ys in series.values() for y in ys)
    axes.set_ylim(-0.04 * top, top)  # so that a line at 0 is seen beside the axis
    axes.grid(axis="y", alpha=0.3)
    if title:
        axes.set_title(title, loc="left")
    return figure
