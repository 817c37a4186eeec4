"""What UniFormerV2's blocks bring and cost: measures against how many of the last layers have a global block, with local blocks or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from ivcore.show.style import OKABE_ITO

ACROSS = 2  # panels side by side
LOOKS = (  # local blocks, colour, marker, moved so that two dots do not lie on each other
    (False, OKABE_ITO[0], "o", -0.06),
    (True, OKABE_ITO[3], "s", 0.06),
)


@dataclass(frozen=True)
class Measure:
    """One panel: the number under `key`. `control` is the same number for shuffled frames, drawn hollow; `chance` a dashed line."""

    key: str
    label: str
    chance: float | None = None
    control: str | None = None


def block_panels(runs: Sequence[dict], measures: Sequence[Measure], layers: int, title: str | None = None):
    """One panel a measure; every run a dot, a line through the means over seeds. -> Figure

    runs: dicts with `local`, `global_layers` and the measures' keys. layers: of the encoder, for the names of the places.
    """
    import matplotlib.pyplot as plt

    rows = -(-len(measures) // ACROSS)
    size = (3.7 * ACROSS, 3.0 * rows + 0.4)
    figure, grid = plt.subplots(rows, ACROSS, figsize=size, layout="constrained", squeeze=False)
    for panel in grid.flat[len(measures) :]:
        panel.set_axis_off()
    for panel, measure in zip(grid.flat, measures):
        for look in LOOKS:
            if kind := [run for run in runs if run["local"] == look[0]]:
                _series(panel, kind, measure, look)
        _finish(panel, measure, sorted({run["global_layers"] for run in runs}), layers)
    _legend(figure, grid[0, 0], any(measure.control for measure in measures))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _series(panel, runs: list[dict], measure: Measure, look: tuple) -> None:
    local, colour, marker, moved = look
    places = sorted({run["global_layers"] for run in runs})
    at = {place: [run for run in runs if run["global_layers"] == place] for place in places}
    xs = [place + moved for place in places]
    name = "with local blocks" if local else "without local blocks"
    means = [mean(run[measure.key] for run in at[place]) for place in places]
    panel.plot(xs, means, color=colour, lw=1.8, marker=marker, ms=6, label=name)
    dots = {"ls": "", "marker": marker, "color": colour, "clip_on": False}
    panel.plot([run["global_layers"] + moved for run in runs], [r[measure.key] for r in runs], ms=4, **dots)
    if measure.control:
        shuffled = [mean(run[measure.control] for run in at[place]) for place in places]
        panel.plot(xs, shuffled, color=colour, lw=1, ls=":", marker=marker, ms=6, mfc="white")


def _finish(panel, measure: Measure, places: list[int], layers: int) -> None:
    panel.set(xlabel="global blocks in", ylabel=measure.label)
    panel.set_xticks(places, [_place(place, layers) for place in places])
    panel.set_xlim(min(places, default=0) - 0.3, max(places, default=0) + 0.3)
    highest = max([panel.dataLim.y1, 2 * (measure.chance or 0), 1e-9])
    panel.set_ylim(0, 1.08 * highest)
    panel.grid(axis="y", alpha=0.3)
    if measure.chance is not None:
        panel.axhline(measure.chance, color="black", ls="--", lw=1)
        edge = {"xy": (1, measure.chance), "xycoords": ("axes fraction", "data"), "fontsize": 9}
        below = {"xytext": (0, -3), "textcoords": "offset points", "va": "top", "ha": "right"}
        panel.annotate("chance", **edge, **below).set_in_layout(False)


def _place(count: int, layers: int) -> str:
    return {0: "none", layers: f"all {layers}", 1: "last"}.get(count, f"last {count}")


def _legend(figure, panel, controlled: bool) -> None:
    from matplotlib.lines import Line2D

    handles = panel.get_legend_handles_labels()[0]
    if controlled:
        hollow = Line2D(
            [], [], color="0.4", ls=":", marker="o", mfc="white", label="the same, frames shuffled"
        )
        handles.append(hollow)
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
