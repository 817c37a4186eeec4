"""Keyframes with boxes and the actions in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ivcore.show.style import DPI

TRUE, FOUND = "#FFFFFF", "#E69F00"
SIDE = 2.6  # width of a keyframe, inches


def boxes_on_keyframes(frames: Sequence[np.ndarray], true: Sequence[list], found: Sequence[list], columns: int = 4):
    """Keyframes uint8 (H, W, 3), each with its true boxes (solid) and the predicted ones (dashed). -> Figure

    true, found: for each keyframe a list of (box x1, y1, x2, y2 as shares of the picture, text). If a keyframe has
    several boxes, they are numbered.
    """
    import matplotlib.pyplot as plt

    rows = -(-len(frames) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(SIDE * columns, (SIDE + 0.65) * rows), squeeze=False, dpi=DPI, layout="constrained")  # fmt: skip
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, frame, real, guessed in zip(axes.flat, frames, true, found):
        axis.imshow(frame, interpolation="nearest", extent=(0, 1, 1, 0))
        line = 0.0
        for items, word, colour, style in ((real, "true", TRUE, "-"), (guessed, "found", FOUND, "--")):
            marks = [f"{place} " if len(items) > 1 else "" for place in range(1, len(items) + 1)]
            for (box, _), mark in zip(items, marks):
                _frame(axis, box, colour, style)
                _mark(axis, box, mark, colour, left=word == "true")
            texts = [f"{mark}{word}: {text}" for (_, text), mark in zip(items, marks)]
            axis.text(0, 1.02 + line, "\n".join(texts), va="top", fontsize=9, color="black" if word == "true" else "#9A6700")  # fmt: skip
            line += 0.085 * max(1, len(items))
    return figure


def _mark(axis, box, mark: str, colour: str, left: bool) -> None:
    """Writes a box's number inside its upper left corner; for a predicted box inside its lower right corner."""
    x, y, sides = (box[0] + 0.02, box[1] + 0.02, ("left", "top")) if left else (box[2] - 0.02, box[3] - 0.02, ("right", "bottom"))  # fmt: skip
    if mark:
        shade = {"facecolor": "black", "alpha": 0.6, "pad": 1, "linewidth": 0}
        axis.text(x, y, mark.strip(), color=colour, ha=sides[0], va=sides[1], fontsize=9, bbox=shade, clip_on=True)


def _frame(axis, box, colour: str, style: str) -> None:
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    for width, edge in ((3.2, "black"), (1.6, colour)):
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=width, ec=edge, ls=style))
