"""Tokens of two numbers as points in a plane, before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO

LOOKS = tuple(zip((OKABE_ITO[3], OKABE_ITO[0], OKABE_ITO[7]), "soD"))  # markers of the first names, in order
SIDE = 3.1  # width of a panel with its labels, inches


def token_plane(moves: Mapping[str, tuple], names: Sequence[str], axes: tuple[str, str], limits: tuple[float, float],
                title: str | None = None):  # fmt: skip
    """A panel for each clip: a hollow mark at each token's position before, a full one after, and an arrow between
    them. -> Figure

    moves: clip -> (before, after), each (N, 2). names: N names; tokens with the same name share a mark; at most three
    names. axes: names of the two numbers. limits: of both axes, fixed while controls change.
    """
    import matplotlib.pyplot as plt

    kinds = list(dict.fromkeys(names))
    if len(kinds) > len(LOOKS):
        raise ParameterError(f"names: {len(kinds)} kinds of token, at most {len(LOOKS)} can be told apart")
    figure = plt.figure(figsize=(SIDE * len(moves), SIDE), layout="none")  # an explorer redraws this at every change
    for number, (clip, (before, after)) in enumerate(moves.items()):
        panel = figure.add_axes(((number + 0.05) / len(moves), 0, 0.9 / len(moves), 0.9))
        panel.axhline(0, color="0.85", lw=1, zorder=0), panel.axvline(0, color="0.85", lw=1, zorder=0)
        for kind, look in zip(kinds, LOOKS):
            row = list(names).index(kind)
            _move(panel, np.asarray(before)[row], np.asarray(after)[row], kind, *look)
        ticks = range(math.ceil(limits[0]), math.floor(limits[1]) + 1)
        panel.set(xlim=limits, ylim=limits, xlabel=axes[0], xticks=ticks, yticks=ticks)
        panel.set_title(clip, loc="left")
    figure.axes[0].set_ylabel(axes[1])
    figure.legend(*panel.get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=len(kinds), handletextpad=0.2)  # fmt: skip
    if title:
        figure.text(0.05 / len(moves), 1.0, title)
    return figure


def _move(panel, start: np.ndarray, end: np.ndarray, name: str, colour: str, marker: str) -> None:
    panel.plot(*start, marker, ms=9, mfc="white", mec=colour, mew=1.5)
    if np.abs(end - start).max() > 0.05:
        look = {"arrowstyle": "->", "color": colour, "lw": 1.5, "shrinkA": 5, "shrinkB": 5}
        panel.annotate("", end, start, arrowprops=look)
    panel.plot(*end, marker, ms=8, color=colour, label=name)
