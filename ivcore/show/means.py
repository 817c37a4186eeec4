"""Results of several seeds: every mean with its seeds as small dots, by condition (`dots`) or along an axis
(`lines`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO, titled

MARKERS, DASHES = "osD^vP", ("--", ":", "-.")
BETWEEN_GROUPS = 0.5  # of a row
LABEL_ROOM = 0.3  # share of a panel's width, right of the largest value
TOO_CLOSE = 0.07  # share of the axis, between two ticks


@dataclass(frozen=True)
class Rows:
    """A panel of `dots`. rows: condition -> values, one for each seed; levels: name -> value, drawn as vertical
    lines.
    """

    title: str
    rows: Mapping[str, Sequence[float]]
    levels: Mapping[str, float] = field(default_factory=dict)


def dots(rows, xlabel: str = "", title: str | None = None, levels=None, form: str = "{:.3g}", from_zero: bool = True):  # fmt: skip
    """A row for each condition: the mean, every seed, and the mean as a number (in a single panel ± the standard
    deviation). -> Figure

    rows: condition -> values, one for each seed; or group -> condition -> values, where a condition has the same colour
    in every group; or a list of `Rows`, panels with the same conditions. Without conditions the axes stay empty.
    levels: name -> value, such as chance, drawn as dashed lines; the same style in every panel. form: number format.
    from_zero: bars from 0 to the means; otherwise axes begin near the smallest value and means are large dots.
    ParameterError if panels have different conditions.
    """
    import matplotlib.pyplot as plt

    panels = [Rows("", _flat(rows), levels or {})] if isinstance(rows, Mapping) else list(rows)
    if not panels or any(set(panel.rows) != set(panels[0].rows) for panel in panels):
        raise ParameterError("rows: expected one panel or more, each with the same conditions")
    heights, colours = _places(list(panels[0].rows))
    rows_tall = max(heights.values(), default=0) + 1
    size = (7 if len(panels) == 1 else 1.4 + 2.7 * len(panels), max(1.25 + 0.42 * rows_tall, 1.9))
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")  # fmt: skip
    names = list(dict.fromkeys(name for panel in panels for name in panel.levels))
    for place, panel in zip(axes[0], panels):
        for name, value in panel.levels.items() if panel.rows else ():
            number = names.index(name)
            look = {"color": OKABE_ITO[-1 - 4 * (number % 2)], "ls": DASHES[number % len(DASHES)]}
            place.axvline(value, lw=1.3, label=name, zorder=1, **look)
        for name, values in panel.rows.items():
            _row(place, heights[name], list(values), colours[name], form, from_zero, len(panels) == 1)
        _limits(place, panel, from_zero, 7 if len(panels) == 1 else 4)
        place.set_title(panel.title, loc="left")
        place.set_xlabel(xlabel)
        place.tick_params(axis="y", length=0, pad=7)  # a dot at 0 extends beyond the axis
    labels = [name if isinstance(name, str) else " · ".join(name) for name in heights]
    axes[0, 0].set_yticks(list(heights.values()), labels)
    axes[0, 0].set_ylim(rows_tall - 0.5, -0.5)
    _legend(figure, axes[0], "outside lower right")
    return titled(figure, title)


def _flat(rows: Mapping) -> dict:
    """Turns the conditions of groups into pairs (group, condition)."""
    if not any(isinstance(values, Mapping) for values in rows.values()):
        return dict(rows)
    return {(group, name): values for group, members in rows.items() for name, values in members.items()}


def _places(names: list) -> tuple[dict, dict]:
    """The height and the colour of each row. One colour without groups; with groups one for each condition."""
    groups = list(dict.fromkeys(name[0] for name in names if isinstance(name, tuple)))
    conditions = list(dict.fromkeys(name[1] if isinstance(name, tuple) else "" for name in names))
    heights = {n: i + (BETWEEN_GROUPS * groups.index(n[0]) if groups else 0) for i, n in enumerate(names)}
    numbers = {n: conditions.index(n[1]) if groups else 0 for n in names}
    return heights, {name: OKABE_ITO[number % len(OKABE_ITO)] for name, number in numbers.items()}


def _row(axes, y: float, values: list[float], colour: str, form: str, bar: bool, spread: bool) -> None:
    mean = statistics.mean(values)
    if bar:
        axes.barh(y, mean, height=0.72, color=colour, alpha=0.35)
        seeds = {"color": colour, "ms": 6, "mec": "white", "mew": 0.8, "clip_on": False}
    else:
        axes.axhline(y, color="0.9", lw=0.8, zorder=0)
        axes.plot(mean, y, "o", color=colour, ms=8, mec="white", mew=0.8, zorder=3)
        seeds = {"color": OKABE_ITO[1], "ms": 3.5, "zorder": 4}
    if bar or len(values) > 1:
        axes.plot(values, [y] * len(values), "o", **seeds)
    text = form.format(mean)
    if form == "{:.3g}" and "." in text and "e" not in text:
        text = f"{mean:#.3g}"  # 2.40 beside 2.24, not 2.4
    if spread and len(values) > 1:
        text += f" ± {statistics.stdev(values):.2g}"
    place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "fontsize": 10 if spread else 9}
    axes.annotate(text, (max(values), y), annotation_clip=False, zorder=5, **place,
                  bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8})  # fmt: skip


def _limits(axes, panel: Rows, from_zero: bool, ticks: int) -> None:
    numbers = [*panel.levels.values(), *(value for values in panel.rows.values() for value in values)]
    if not panel.rows:
        return
    low, high = min(numbers), max(numbers)
    low = min(0, low) if from_zero else low
    width = (high - low) or 0.1
    axes.set_xlim(low - (0 if from_zero else 0.08 * width), high + (0.16 if from_zero else LABEL_ROOM) * width)
    axes.locator_params(axis="x", nbins=min(ticks, 7 if from_zero else 5))


@dataclass(frozen=True)
class Panel:
    """A panel of `lines`. xlabel: name of its horizontal axis. series: name -> [(x, values, one for each seed)].

    form: format of x; ticks: x -> a name instead; log: logarithmic x axis. Points of a series are joined in the given
    order, or not at all with joined=False; notes: name -> a text beside each point. ylabel, levels: of this panel
    alone. controls: name -> [(x, values)] of the same series under a control, dotted and hollow. legend: title of the
    legend.
    """

    xlabel: str
    series: Mapping[str, Sequence[tuple[float, Sequence[float]]]]
    form: str = "{:g}"
    log: bool = False
    joined: bool = True
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    legend: str | None = None
    ticks: Mapping[float, str] | None = None
    ylabel: str = ""
    levels: Mapping[str, float] = field(default_factory=dict)
    controls: Mapping[str, Sequence[tuple[float, Sequence[float]]]] = field(default_factory=dict)


def lines(panels: Sequence[Panel], ylabel: str = "", levels=None, title: str | None = None, columns: int | None = None, control: str = "", from_zero: bool = True):  # fmt: skip
    """A line through the means of each series. Panels without a ylabel share the vertical axis; all begin at 0, or with
    from_zero=False near the smallest value. -> Figure

    A series has the same colour and marker in every panel. levels: name -> y, drawn as dashed lines (chance,
    untrained). columns: panels side by side, by default all. control: the controls' name in the legend. ParameterError
    if there is no panel or no point.
    """
    import matplotlib.pyplot as plt

    if not panels or not all(points for panel in panels for points in panel.series.values()):
        raise ParameterError("panels: expected one or more, and a point or more in every series")
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    columns = columns or len(panels)
    tall = -(-len(panels) // columns)
    size, shared = ((0.6 + 4.2 * max(columns, 1.4), 0.8 + 3.2 * tall), not any(panel.ylabel for panel in panels))
    figure, grid = plt.subplots(tall, columns, figsize=size, sharey=shared, squeeze=False, layout="constrained")  # fmt: skip
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for number, (axes, panel) in enumerate(zip(grid.flat, panels), 1):
        for name in panel.series:
            _series(axes, panel, name, names.index(name))
        _axis(axes, panel)
        _levels(axes, {**(levels or {}), **panel.levels}, named=bool(panel.levels) or number == len(panels))
        axes.set_ylabel(panel.ylabel or ylabel * (axes is grid[0, 0]))
    for axes in grid.flat[: len(panels)] if from_zero else ():  # after all points, so that later panels count too
        axes.set_ylim(bottom=0)
    if control:
        grid[0, 0].plot([], [], color="0.4", lw=1, ls=":", marker="o", mfc="white", label=control)
    if all(list(panel.series) == list(panels[0].series) for panel in panels):
        _legend(figure, grid[0, :1], "outside lower left", title=panels[0].legend)
    else:
        for axes, panel in zip(grid.flat, panels):
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0,
                        title=panel.legend, alignment="left", handlelength=1.6, columnspacing=1.2)  # fmt: skip
    return titled(figure, title)


def _series(axes, panel: Panel, name: str, number: int) -> None:
    points = panel.series[name]
    look = {"color": OKABE_ITO[number % len(OKABE_ITO)], "marker": MARKERS[number % len(MARKERS)]}
    look |= {"clip_on": False}  # keeps a point at 0 visible as a whole
    means, style = [statistics.mean(values) for _, values in points], "-" if panel.joined else ""
    axes.plot([x for x, _ in points], means, ls=style, lw=1.8, ms=7, mec="white", label=name, zorder=3, **look)
    for x, values in points:
        if len(values) > 1:
            axes.plot([x] * len(values), values, ls="", ms=3.5, alpha=0.55, zorder=2, **look)
    if control := panel.controls.get(name):
        means_of_control = [statistics.mean(values) for _, values in control]
        axes.plot([x for x, _ in control], means_of_control, lw=1, ls=":", ms=6, mfc="white", zorder=4, **look)
    # Notes alternate between upper right and lower left of their points, since neighbours may be close.
    sides = cycle(({"ha": "left", "xytext": (6, 5)}, {"ha": "right", "xytext": (-6, -13)}))
    place = {"textcoords": "offset points", "fontsize": 9, "color": look["color"]}
    for (x, _), mean, text, side in zip(points, means, panel.notes.get(name, ()), sides):
        axes.annotate(text, (x, mean), **place, **side)


def _axis(axes, panel: Panel) -> None:
    if panel.log:
        axes.set_xscale("log")
    axes.margins(x=0.2 if panel.notes else 0.12)
    if panel.ticks is not None:
        axes.set_xticks(list(panel.ticks), list(panel.ticks.values()))
        axes.set_xlim(min(panel.ticks) - 0.3, max(panel.ticks) + 0.3)
    elif panel.joined:  # ticks at the tried values; a measured quantity keeps its own axis
        ticks = _apart({x for points in panel.series.values() for x, _ in points}, panel.log)
        axes.set_xticks(ticks, [panel.form.format(x) for x in ticks])
        axes.minorticks_off()
    axes.set_xlabel(panel.xlabel)
    axes.grid(axis="y", alpha=0.3)


def _apart(values: set[float], log: bool) -> list[float]:
    """The values in order, without those whose label would overlap the one before."""
    place = math.log if log else float
    ordered = sorted(values)
    gap = TOO_CLOSE * (place(ordered[-1]) - place(ordered[0]))
    kept = ordered[:1]
    for value in ordered[1:]:
        if place(value) - place(kept[-1]) >= gap:
            kept.append(value)
    return kept


def _levels(axes, levels: Mapping[str, float], named: bool) -> None:
    for name, y in levels.items():
        axes.axhline(y, color="0.35", lw=1, ls="--", zorder=1)
        if named:  # beside the panel, where there is no point
            place = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "color": "0.25"}
            axes.annotate(name, (1, y), xycoords=axes.get_yaxis_transform(), **place)


def _legend(figure, axes, place: str, title: str | None = None) -> None:
    """One legend beside the panels; each name once."""
    pairs = [pair for panel in axes for pair in zip(*panel.get_legend_handles_labels())]
    handles = {label: handle for handle, label in pairs}
    if handles:
        figure.legend(handles.values(), handles, loc=place, ncols=min(len(handles), 4), title=title, alignment="left")  # fmt: skip
