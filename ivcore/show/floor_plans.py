"""Figures of navigation: floor plans from above with paths, the views before a decision, and scores with their
intervals.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from ivcore.data.navigation.plans import FloorPlan
from ivcore.data.navigation.ray_caster import PAINT
from ivcore.show.style import OKABE_ITO

MARKERS = {"box": "s", "ball": "o", "key": "P", "pillar": "d"}
LOOKS = (("-", 4.0), ("--", 2.0), (":", 2.2), ("-.", 1.6))


def floor_plan(
    plans: Sequence[FloorPlan], ways: Sequence[Mapping[str, Sequence]], instructions: Sequence[str], within: float = 3.0
):
    """A panel for each episode. -> Figure

    ways: name -> path (n, 3), the reference first. The circle around the reference's end is the area in which stopping
    is a success.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(plans), figsize=(4.4 * len(plans), 5.8), squeeze=False, layout="constrained")
    told = [textwrap.wrap(each, 46) for each in instructions]
    titles = ["\n".join(lines + [""] * (max(map(len, told)) - len(lines))) for lines in told]
    for place, plan, walked, title in zip(axes[0], plans, ways, titles):
        for wall in plan.walls:
            colour, width = (PAINT[wall.colour], 5) if wall.colour else ("0.25", 1.6)
            place.plot(*zip(wall.a, wall.b), color=colour, lw=width, solid_capstyle="butt", zorder=2)
        for thing in plan.landmarks:
            place.plot(thing.x, thing.z, MARKERS[thing.kind], color=PAINT[thing.colour], ms=9, mec="0.2", zorder=3)
        for number, (name, way) in enumerate(walked.items()):
            style, width = LOOKS[number % len(LOOKS)]
            way = np.asarray(way)
            look = {"color": OKABE_ITO[(5, 3, 0, 7)[number % 4]], "ls": style, "lw": width, "label": name}
            place.plot(way[:, 0], way[:, 2], zorder=4, **look)
            place.plot(way[-1, 0], way[-1, 2], "X", color=look["color"], ms=9, mec="white", zorder=5)
        first = np.asarray(next(iter(walked.values())))
        place.plot(first[0, 0], first[0, 2], "o", color="black", ms=8, zorder=6, label="start")
        place.add_patch(plt.Circle(first[-1, ::2], within, fill=False, ec="0.4", ls=(0, (2, 2)), label=f"within {within:g} m of the goal"))  # fmt: skip
        place.set(aspect="equal", xlabel="x in metres", ylabel="z in metres")
        wide, deep = max(room.x1 for room in plan.rooms), max(room.z1 for room in plan.rooms)
        place.set(
            xlim=(-0.4, wide + 0.4), ylim=(deep + 0.4, -0.4)
        )  # z to the right of x, as on a map for someone who looks along x
        place.set_title(title, loc="left", fontsize=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def panorama(rgb: np.ndarray, probabilities: Sequence[float], taught: int, instruction: str):
    """The views of a panorama side by side, uint8 (V, size, size, 3), each with the planner's probability; the last of
    the V + 1 probabilities is that of stopping. The expert's choice is framed. -> Figure
    """
    import matplotlib.pyplot as plt

    views = len(rgb)
    figure, axes = plt.subplots(1, views + 1, figsize=(9, 1.9), layout="constrained")
    chosen = int(np.argmax(probabilities))
    for view, place in enumerate(axes):
        place.imshow(rgb[view] if view < views else np.full((8, 8, 3), 245, np.uint8))
        if view == views:
            place.text(3.5, 3.5, "stop", ha="center", va="center")
        place.set(xticks=[], yticks=[])
        place.set_xlabel(f"{probabilities[view]:.2f}" + ("\nplanner" if view == chosen else ""), fontsize=9)
        place.set_title(f"{360 * view // views}°" if view < views else "", fontsize=9)
        for side in place.spines.values():
            side.set(visible=True, color=OKABE_ITO[3] if view == taught else "0.7", linewidth=3 if view == taught else 0.8)  # fmt: skip
    figure.suptitle(textwrap.fill(instruction, 110), x=0.01, ha="left", fontsize=9)
    return figure


def intervals(rows: Mapping[str, tuple[float, float, float]], xlabel: str, levels: Mapping[str, float] | None = None):
    """A dot with its interval for each row. -> Figure

    rows: name -> (mean, low, high). levels: name -> value, drawn as vertical lines.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 0.9 + 0.42 * len(rows)), layout="constrained")
    for number, (name, value) in enumerate((levels or {}).items()):
        axes.axvline(value, color=OKABE_ITO[-1 - 4 * (number % 2)], ls="--", lw=1.3, label=name)
    for row, (mean, low, high) in enumerate(rows.values()):
        axes.plot([low, high], [row, row], color=OKABE_ITO[0], lw=2.5, alpha=0.5, solid_capstyle="butt")
        axes.plot(mean, row, "o", color=OKABE_ITO[0], ms=8, mec="white")
        axes.annotate(f"{mean:.3f}", (high, row), xytext=(8, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=xlabel)
    axes.margins(x=0.12)
    if levels:
        axes.legend(loc="upper right")
    return figure
