"""Benefit and cost of UniFormerV2's blocks: measures by the number of last layers with a global block, with or without
local blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ivcore.show.means import Panel, lines

# local blocks -> name, and horizontal shift that keeps points apart
KINDS = {False: ("without local blocks", -0.06), True: ("with local blocks", 0.06)}


@dataclass(frozen=True)
class Measure:
    """A panel: the number under `key`. `control` is the same number for shuffled frames, drawn hollow; `chance` a
    dashed line.
    """

    key: str
    label: str
    chance: float | None = None
    control: str | None = None


def block_panels(runs: Sequence[dict], measures: Sequence[Measure], layers: int, title: str | None = None):
    """A panel for each measure; a dot for each run, and a line through the means over seeds. -> Figure

    runs: dicts with `local`, `global_layers` and the measures' keys. layers: number in the encoder, for the tick names.
    """
    counts = sorted({run["global_layers"] for run in runs})
    names = {0: "none", 1: "last"} | {layers: f"all {layers}"}
    ticks = {count: names.get(count, f"last {count}") for count in counts}

    def series(key: str) -> dict:
        at = {
            name: [(count + moved, [run[key] for run in runs if (run["local"], run["global_layers"]) == (local, count)])
                   for count in counts]
            for local, (name, moved) in KINDS.items()
        }  # fmt: skip
        points = {name: [(x, values) for x, values in several if values] for name, several in at.items()}
        return {name: several for name, several in points.items() if several}

    panels = [
        Panel(
            "global blocks in", series(measure.key), ticks=ticks, ylabel=measure.label,
            levels={} if measure.chance is None else {"chance": measure.chance},
            controls=series(measure.control) if measure.control else {},
        )
        for measure in measures
    ]  # fmt: skip
    controlled = any(measure.control for measure in measures)
    return lines(panels, title=title, columns=2, control="frames shuffled" if controlled else "")
