"""How far a change of one frame has spread after each layer."""

from __future__ import annotations

import numpy as np

from ivcore.show.style import titled


def reach(changes: dict, changed: dict, title: str | None = None):
    """A panel for each model: layers from bottom to top, frames (or slots) from left to right, filled where tokens
    changed. -> Figure

    changes: name -> (layers, slots) mean change of the tokens. changed: name -> the slot that was changed, marked.
    Shades are shares of a layer's largest change; a slot without any change stays white.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(changes), figsize=(8.4, 2.6), layout="constrained", squeeze=False)
    for panel, (name, change) in zip(panels[0], changes.items()):
        change = np.asarray(change, float)
        share = change / np.maximum(change.max(axis=1, keepdims=True), 1e-30)
        shade = np.where(change > 0, 0.15 + 0.85 * np.sqrt(share), 0)
        panel.imshow(shade, cmap="Blues", vmin=0, vmax=1.15, origin="lower", aspect="auto", interpolation="nearest")
        panel.plot(changed[name], -0.62, "^", color="#D55E00", ms=7, clip_on=False)
        _grid(panel, *change.shape)
        panel.set_title(name, loc="left")
    figure.supxlabel("frame (or slot)", fontsize=10)
    panels[0, 0].set_ylabel("after layer")
    return titled(figure, title)


def _grid(panel, layers: int, places: int) -> None:
    panel.set(xticks=range(0, places, max(1, places // 8)), yticks=range(layers), yticklabels=range(1, layers + 1))
    panel.set_xticks(np.arange(places + 1) - 0.5, minor=True)
    panel.set_yticks(np.arange(layers + 1) - 0.5, minor=True)
    panel.grid(which="minor", color="0.85", lw=0.8)
    panel.tick_params(which="both", length=0)
    panel.tick_params(axis="x", pad=8)
    panel.set_ylim(-0.5, layers - 0.5)  # the mark below would widen it
    for spine in panel.spines.values():
        spine.set_visible(True)
        spine.set_color("0.85")
