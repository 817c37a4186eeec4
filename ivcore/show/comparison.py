"""Conditions side by side: the mean as a bar, every seed as a dot."""

from __future__ import annotations

import statistics

from ivcore.show.style import OKABE_ITO

BETWEEN_GROUPS = 0.5  # of a bar's room


def comparison(rows, chance: float | None = None, xlabel: str = "", title: str | None = None, form: str = "{:.3g}"):  # fmt: skip
    """One bar a condition, with its mean ± standard deviation over seeds in numbers. -> Figure

    rows: condition -> values, one a seed; or group -> condition -> values, where a condition keeps its colour in every group; or a
    DataFrame whose first column names the condition and whose second holds the value, one line a run. Without rows the axes stay empty.
    chance: drawn as a dashed line. form: how a number is written.
    """
    import matplotlib.pyplot as plt

    groups = _grouped(rows)
    conditions = list(dict.fromkeys(name for members in groups.values() for name in members))
    several = len(groups) > 1 or "" not in groups
    bars = sum(map(len, groups.values()))
    tall = 0.9 + 0.42 * (bars + BETWEEN_GROUPS * (len(groups) - 1))
    size = (7, max(tall, 1.7))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    y, places, names = 0.0, [], []
    for group, members in groups.items():
        for name, values in members.items():
            colour = OKABE_ITO[conditions.index(name) % len(OKABE_ITO)] if several else OKABE_ITO[0]
            _bar(axes, y, list(values), colour, form)
            places.append(y)
            names.append(f"{group} · {name}" if several else name)
            y += 1
        y += BETWEEN_GROUPS
    axes.set_yticks(places, names)
    _finish(axes, chance, xlabel, title)
    return figure


def _grouped(rows) -> dict:
    if hasattr(rows, "groupby"):
        condition, value = rows.columns[:2]
        rows = {name: list(part) for name, part in rows.groupby(condition, sort=False)[value]}
    if not rows:
        return {}
    nested = any(isinstance(values, dict) for values in rows.values())
    return rows if nested else {"": rows}


def _bar(axes, y: float, values: list[float], colour: str, form: str) -> None:
    mean = statistics.mean(values)
    axes.barh(y, mean, height=0.72, color=colour, alpha=0.35)
    axes.plot(values, [y] * len(values), "o", color=colour, ms=6, mec="white", mew=0.8, clip_on=False)
    text = form.format(mean)
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.2g}"
    place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, (max(values), y), annotation_clip=False, **place)


def _finish(axes, chance: float | None, xlabel: str, title: str | None) -> None:
    axes.invert_yaxis()
    axes.margins(x=0.16)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]) if axes.dataLim.x0 < 0 else 0)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(xlabel)
    if chance is not None and axes.patches:
        axes.axvline(chance, color="black", ls="--", lw=1)
        above = axes.get_xaxis_transform()
        axes.text(chance, 1.0, "chance", transform=above, ha="center", va="bottom", fontsize=9)
    if title:
        axes.set_title(title, loc="left", pad=16 if chance is not None else 6)
