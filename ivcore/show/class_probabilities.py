"""Predictions of several models for a clip: the likeliest classes, a column of bars for each model."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from ivcore.show.style import OKABE_ITO

MOST, LINE = 6, 26  # number of classes, and characters in a line
APART = 1.5  # distance between columns, where a probability of 1 has length 1
INCHES = 1.45  # height of a bar
ROW = 0.4  # inches


def opinions(models: Mapping[str, Sequence[float]], classes: Sequence[str], before: Mapping[str, Sequence[float]] | None = None,
             most: int = MOST, title: str | None = None):  # fmt: skip
    """Bars of probability, a column for each model, for the classes that are likeliest in the last model. -> Figure

    models: name -> a probability for each class. before: earlier probabilities of some models: a black mark on the bar.
    """
    import matplotlib.pyplot as plt

    order = _rows(list(models.values())[-1], (before or {}).get(list(models)[-1]), most)
    size = (APART * INCHES * len(models), ROW * (len(order) + 1))
    figure = plt.figure(
        figsize=size, layout="none"
    )  # single axes without layout, since an explorer redraws this at every change
    axes = figure.add_axes((0, 0, 1, 1))
    for number, (name, values) in enumerate(models.items()):
        left, shown = APART * number, [float(values[k]) for k in order]
        axes.barh(range(len(order)), shown, left=left, color=OKABE_ITO[number], height=0.65)
        axes.plot([left, left], [-0.5, len(order) - 0.5], color="0.4", lw=1)
        axes.text(left, -0.65, textwrap.fill(name, 20), ha="left", va="bottom", fontsize=10)
        was = [float(before[name][k]) for k in order] if before and name in before else shown
        for row, (value, other) in enumerate(zip(shown, was)):
            axes.text(left + max(value, other) + 0.05, row, f"{value:.2f}", va="center", fontsize=9)
        if was is not shown:
            axes.plot([left + value for value in was], range(len(order)), "k|", ms=16, mew=2)
    for row, k in enumerate(order):
        axes.text(-0.05, row, textwrap.fill(classes[k], LINE), ha="right", va="center", fontsize=10)
    axes.set(xlim=(0, APART * len(models)), ylim=(len(order) - 0.5, -1.5))
    axes.text(0, len(order) - 0.3, "probability (a full bar is 1)", fontsize=9, va="top")
    axes.set_axis_off()
    if title:
        axes.set_title(title, loc="left", pad=4, fontsize=10)
    return figure


def _rows(now: Sequence[float], before: Sequence[float] | None, most: int) -> list[int]:
    """The classes that were likeliest before, and the likeliest one now if it is another."""
    order = sorted(range(len(now)), key=lambda k: -float(now[k] if before is None else before[k]))[:most]
    best = max(range(len(now)), key=lambda k: float(now[k]))
    return order if best in order else [*order[: most - 1], best]
