"""Tokens of two numbers as points in a plane: where each was, and where it has gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ivcore.errors import ParameterError
from ivcore.show.style import OKABE_ITO, titled

LOOKS = tuple(zip((OKABE_ITO[3], OKABE_ITO[0], OKABE_ITO[7]), "soD"))  # of the first names, in their order


def token_plane(moves: Mapping[str, tuple], names: Sequence[str], axes: tuple[str, str], limits: tuple[float, float],
                title: str | None = None):  # fmt: skip
    """One panel a clip: a hollow mark where each token was, a full one where it is, an arrow between them. -> Figure

    moves: clip -> (before, after), each (N, 2). names: N names; tokens of one name share a mark, and at most three names are told apart.
    axes: what the two numbers say. limits: of both axes, which stay where they are while something is turned.
    """
    import matplotlib.pyplot as plt

    kinds = list(dict.fromkeys(names))
    if len(kinds) > len(LOOKS):
        raise ParameterError(f"names: {len(kinds)} kinds of token, at most {len(LOOKS)} can be told apart")
    size = (3.6 * len(moves), 4.1)
    figure, panels = plt.subplots(1, len(moves), figsize=size, layout="constrained", sharey=True, squeeze=False)
    for panel, (clip, (before, after)) in zip(panels[0], moves.items()):
        panel.axhline(0, color="0.85", lw=1, zorder=0), panel.axvline(0, color="0.85", lw=1, zorder=0)
        for kind, (colour, marker) in zip(kinds, LOOKS):
            row = list(names).index(kind)
            _move(panel, np.asarray(before)[row], np.asarray(after)[row], kind, colour, marker)
        panel.set(xlim=limits, ylim=limits, aspect="equal", xlabel=axes[0])
        panel.set_title(clip, loc="left")
    panels[0, 0].set_ylabel(axes[1])
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(kinds), handletextpad=0.2)
    return titled(figure, title)


def _move(panel, start: np.ndarray, end: np.ndarray, name: str, colour: str, marker: str) -> None:
    panel.plot(*start, marker, ms=9, mfc="white", mec=colour, mew=1.5)
    if np.abs(end - start).max() > 0.05:
        look = {"arrowstyle": "->", "color": colour, "lw": 1.5, "shrinkA": 5, "shrinkB": 5}
        panel.annotate("", end, start, arrowprops=look)
    panel.plot(*end, marker, ms=8, color=colour, label=name, ls="")
