"""Designs under each other: a row a design, a panel a measure, the mean as a large dot, every seed as a small one, and lines for what is to be beaten."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO

LINES = ("--", ":", "-.")
ROW = 0.3  # inches
LABEL_ROOM = 0.3  # of a panel's width, right of the largest value


@dataclass(frozen=True)
class Measure:
    """One panel. rows: design -> values, one a seed; levels: name -> value, drawn as vertical lines; form: how a mean is written."""

    title: str
    rows: Mapping[str, Sequence[float]]
    levels: Mapping[str, float] = field(default_factory=dict)
    form: str = "{:.3f}"


def design_dots(measures: Sequence[Measure], xlabel: str = "", title: str | None = None):
    """Panels that share their rows, in the order of the first measure, from top to bottom. -> Figure

    Axes begin where the values do and not at 0: dots mark places, and the lines say what to compare them with. A level has the same
    line in every panel. ParameterError where there is no row, or where panels do not have the same rows.
    """
    import matplotlib.pyplot as plt

    names = _names(measures)
    size = (1.4 + 2.7 * len(measures), 1.25 + ROW * len(names))
    figure, axes = plt.subplots(1, len(measures), figsize=size, sharey=True, squeeze=False, layout="constrained")  # fmt: skip
    known = list(dict.fromkeys(name for measure in measures for name in measure.levels))
    for panel, measure in zip(axes[0], measures):
        for name, value in measure.levels.items():
            number = known.index(name)
            panel.axvline(value, color=OKABE_ITO[-1 - 4 * (number % 2)], ls=LINES[number % len(LINES)], lw=1.3, label=name, zorder=1)  # fmt: skip
        for y, name in enumerate(names):
            _row(panel, y, list(measure.rows[name]), measure.form)
        _finish(panel, measure, xlabel)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    if known:
        handles = {text: line for panel in axes[0] for line, text in zip(*panel.get_legend_handles_labels())}
        figure.legend(handles.values(), handles, loc="outside lower right", ncols=len(handles), fontsize=9)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _names(measures: Sequence[Measure]) -> list[str]:
    names = list(measures[0].rows) if measures else []
    if not names or any(set(measure.rows) != set(names) for measure in measures):
        raise ParameterError("measures: expected one or more, each with the same rows, and at least one row")
    return names


def _row(panel, y: int, values: list[float], form: str) -> None:
    mean = statistics.mean(values)
    panel.axhline(y, color="0.9", lw=0.8, zorder=0)
    panel.plot(mean, y, "o", color=OKABE_ITO[0], ms=8, mec="white", mew=0.8, zorder=3)
    if len(values) > 1:
        panel.plot(values, [y] * len(values), "o", color=OKABE_ITO[1], ms=3.5, zorder=4)
    place = {"xytext": (7, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
    panel.annotate(form.format(mean), (max(values), y), zorder=5, **place,
                   bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8})  # fmt: skip


def _finish(panel, measure: Measure, xlabel: str) -> None:
    every = [*measure.levels.values(), *(value for values in measure.rows.values() for value in values)]
    low, high = min(every), max(every)
    width = (high - low) or 0.1
    panel.set_xlim(low - 0.08 * width, high + LABEL_ROOM * width)
    panel.locator_params(axis="x", nbins=5)
    panel.tick_params(axis="y", length=0)
    panel.set_title(measure.title, loc="left")
    panel.set_xlabel(xlabel)
