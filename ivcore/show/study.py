"""One measure against several things that were changed: panels side by side on one axis, the mean as a line, every seed as a dot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO

MEASURES = {  # of ivcore.stages.masked.frozen_scores, as axes name them
    "knn": "top-1 of a k-NN vote",
    "probe": "top-1 of a linear probe",
    "order": "right one of two partner actions",
}
MARKERS = "osD^vP"
TOO_CLOSE = 0.07  # of the axis


@dataclass(frozen=True)
class Panel:
    """What lies along one horizontal axis. series: name -> [(x, values, one a seed)]; form: how x is written; log: x by its logarithm.

    Points of a series are joined in the order they are given, or with joined=False not at all; notes are written beside them, name -> a
    text a point.
    """

    xlabel: str
    series: Mapping[str, Sequence[tuple[float, Sequence[float]]]]
    form: str = "{:g}"
    log: bool = False
    joined: bool = True
    notes: Mapping[str, Sequence[str]] | None = None
    legend: str | None = None  # what the names of the series are


def study(panels: Sequence[Panel], ylabel: str, levels: Mapping[str, float] | None = None, title: str | None = None):  # fmt: skip
    """Panels that share the vertical axis, which begins at 0. -> Figure

    A series of the same name has the same colour and marker in every panel. levels: name -> y, drawn as dashed lines (chance, untrained).
    ParameterError where there is no panel or no point.
    """
    import matplotlib.pyplot as plt

    if not panels or not all(points for panel in panels for points in panel.series.values()):
        raise ParameterError("panels: expected one or more, and a point or more in every series")
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    size = (0.6 + 4.2 * len(panels), 4.0)
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for panel, place in zip(panels, axes[0]):
        for name in panel.series:
            _series(place, panel, name, names.index(name))
        _axis(place, panel)
        _levels(place, levels or {}, named=place is axes[0, -1])
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].set_ylim(bottom=0)
    _legends(figure, axes[0], panels)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _series(axes, panel: Panel, name: str, number: int) -> None:
    points = panel.series[name]
    look = {"color": OKABE_ITO[number % len(OKABE_ITO)], "marker": MARKERS[number % len(MARKERS)]}
    means = [statistics.mean(values) for _, values in points]
    line = "-" if panel.joined else ""
    axes.plot([x for x, _ in points], means, ls=line, lw=1.8, ms=7, mec="white", label=name, zorder=3, **look)
    for x, values in points:
        if len(values) > 1:
            axes.plot([x] * len(values), values, ls="", ms=3.5, alpha=0.55, zorder=2, **look)
    # notes stand right and left of their points in turn, since neighbours may lie close
    sides = cycle(({"ha": "left", "xytext": (6, 5)}, {"ha": "right", "xytext": (-6, 5)}))
    style = {"textcoords": "offset points", "fontsize": 8, "color": look["color"]}
    for (x, _), mean, text, side in zip(points, means, (panel.notes or {}).get(name, ()), sides):
        axes.annotate(text, (x, mean), **style, **side)


def _axis(axes, panel: Panel) -> None:
    if panel.log:
        axes.set_xscale("log")
    if panel.joined:  # the values that were tried; a measured quantity keeps an axis of its own
        ticks = _apart({x for points in panel.series.values() for x, _ in points}, panel.log)
        axes.set_xticks(ticks, [panel.form.format(x) for x in ticks])
        axes.minorticks_off()
    axes.margins(x=0.12)
    axes.set_xlabel(panel.xlabel)
    axes.grid(axis="y", alpha=0.3)


def _apart(values: set[float], log: bool) -> list[float]:
    """The values in order, without those whose label would run into the one before."""
    place = math.log if log else float
    ordered = sorted(values)
    least = TOO_CLOSE * (place(ordered[-1]) - place(ordered[0]))
    kept = ordered[:1]
    for value in ordered[1:]:
        if place(value) - place(kept[-1]) >= least:
            kept.append(value)
    return kept


def _levels(axes, levels: Mapping[str, float], named: bool) -> None:
    for name, y in levels.items():
        axes.axhline(y, color="0.35", lw=1, ls="--", zorder=1)
        if named:  # beside the panel, where no point lies
            place = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "color": "0.25"}
            axes.annotate(name, (1, y), xycoords=axes.get_yaxis_transform(), **place)


def _legends(figure, axes, panels: Sequence[Panel]) -> None:
    """One for all panels where they show the same series, else one above each."""
    same = all(list(panel.series) == list(panels[0].series) for panel in panels)
    for place, panel in list(zip(axes, panels))[: 1 if same else None]:
        place.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0, title=panel.legend,
                     alignment="left", handlelength=1.6, columnspacing=1.2)  # fmt: skip
