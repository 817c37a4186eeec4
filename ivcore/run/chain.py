"""The paper's stages as one picture, with their state: notebook, code only, or not built."""

from __future__ import annotations

import importlib.util
import textwrap
from dataclasses import dataclass

from ivcore.run import notebook

LOOKS = {  # state -> face, edge, line style, in words
    "notebook": ("#CDE4F2", "#0072B2", "-", "a notebook runs it"),
    "code": ("#FFFFFF", "#0072B2", "-", "model code only"),
    "paper": ("#FFFFFF", "0.55", "--", "in the paper, not here"),
}


WIDEST = 20  # characters of a line in a box


@dataclass(frozen=True)
class Stage:
    """A stage of the chain at x, y. numbers: notebooks that train or measure it. module: its code, or ""."""

    name: str
    section: str
    x: float
    y: float
    numbers: tuple[str, ...] = ()
    module: str = ""

    @property
    def standing(self) -> list[str]:
        """Numbers of its existing notebooks."""
        there = {notebook.number(path) for path in notebook.every()}
        return [number for number in self.numbers if number in there]

    @property
    def state(self) -> str:
        if self.standing:
            return "notebook"
        return "code" if self.module and importlib.util.find_spec(self.module) else "paper"


STAGES = (
    Stage("video clips as tubelets", "4.1", 0, 1, ("01",), "ivcore.video.reader"),
    Stage("masked video modelling", "3.1.1", 1, 0, ("10", "20", "21"), "ivcore.encoders.videomae"),
    Stage("video-text contrast and captioning", "3.1.2", 1, 2, ("11", "22"), "ivcore.encoders.video_text"),
    Stage("supervised: masked encoder", "3.2", 2, 0, ("12",), "ivcore.heads.classifier"),
    Stage("supervised: multimodal encoder", "3.2", 2, 2, ("12",), "ivcore.heads.classifier"),
    Stage("cross-model attention", "3.3", 3, 1, ("13", "23", "24"), "ivcore.cma"),
    Stage("recognition, with either encoder or both", "4.3.1", 4, -0.3, ("30",), "ivcore.heads.classifier"),
    Stage("who does what where and when", "4.3.1", 4, 0.6, ("31", "32"), "ivcore.heads.boxes"),
    Stage("what is of no known class", "4.3.3", 4, 1.5, ("39",), "ivcore.losses.evidential"),
    Stage("zero-shot recognition", "4.3.3", 2, 3, ("36",), "ivcore.heads.zero_shot"),
    Stage(
        "finding videos by sentences, and writing these",
        "4.3.2",
        1,
        3,
        ("33", "34", "37", "38", "45"),
        "ivcore.metrics.retrieval",
    ),
    Stage("all of it on many devices", "3.2", 0, 3, ("60",), "ivcore.train.engine"),
    Stage("walking by instructions", "4.3.2", 3, 3, ("35",), "ivcore.heads.planner"),
    Stage("first-person video: Ego4D", "4.3", 4, 2.4, ("40", "41", "42", "43", "44"), "ivcore.heads.span"),
    Stage("what happens when in long video", "5.1", 4, 3.3, ("50",), "ivcore.heads.event_order"),
)
ARROWS = ((0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (3, 6), (3, 7), (5, 6), (4, 8), (2, 9), (2, 10), (4, 13))


def chain(stages=STAGES, arrows=ARROWS):
    """Draws the chain. Returns a Figure."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9.6, 6.4), layout="constrained")
    for begin, end in arrows:
        a, b = stages[begin], stages[end]
        line = {"arrowstyle": "-|>", "color": "0.4", "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
        ends = ((a.x, a.y + 0.38), (b.x, b.y - 0.38)) if a.x == b.x else ((a.x + 0.42, a.y), (b.x - 0.42, b.y))
        axes.annotate("", ends[1], ends[0], arrowprops=line, zorder=1)
    for stage in stages:
        _box(axes, stage)
    axes.set(xlim=(-0.5, 4.5), ylim=(3.95, -0.75))
    axes.set_axis_off()
    _legend(axes, {stage.state for stage in stages})
    return figure


def in_words(stages=STAGES, arrows=ARROWS) -> str:
    """The picture as text: "masked video modelling (notebooks 10, 20, 21) leads to …; …"."""
    names = [f"{s.name} ({_numbered(s.standing)})" if s.standing else s.name for s in stages]
    led = [f"{names[begin]} leads to {stages[end].name}" for begin, end in arrows]
    beside = [name for index, name in enumerate(names) if not any(index in arrow for arrow in arrows)]
    return "; ".join([*led, *(f"{name} stands beside it" for name in beside)])


def _box(axes, stage: Stage) -> None:
    from matplotlib.patches import FancyBboxPatch

    face, edge, style, _ = LOOKS[stage.state]
    shape = {"boxstyle": "round,pad=0.02,rounding_size=0.06", "mutation_aspect": 1.6}
    axes.add_patch(FancyBboxPatch((stage.x - 0.4, stage.y - 0.36), 0.8, 0.72, fc=face, ec=edge, ls=style, lw=1.5, zorder=2, **shape))  # fmt: skip
    numbers = _numbered(stage.standing) if stage.standing else ""
    lines = [line for text in (numbers, stage.name) for line in textwrap.wrap(text, WIDEST, break_on_hyphens=False)]
    words = "\n".join([*lines, f"§{stage.section}"])
    axes.text(stage.x, stage.y, words, ha="center", va="center", fontsize=9, linespacing=1.1, zorder=3)


def _numbered(numbers: list[str]) -> str:
    return f"notebook{'s' if len(numbers) > 1 else ''} {_listed(numbers)}"


def _listed(numbers: list[str]) -> str:
    """ "33, 34, 37", or "40 to 44" for more than three in a row."""
    in_a_row = len(numbers) > 3 and int(numbers[-1]) - int(numbers[0]) == len(numbers) - 1
    return f"{numbers[0]} to {numbers[-1]}" if in_a_row else ", ".join(numbers)


def _legend(axes, states: set[str]) -> None:
    from matplotlib.patches import Patch

    looks = [look for state, look in LOOKS.items() if state in states]
    handles = [Patch(fc=face, ec=edge, ls=style, label=words) for face, edge, style, words in looks]
    axes.legend(handles=handles, loc="lower left", ncols=3, bbox_to_anchor=(0, -0.04), handlelength=1.5)
