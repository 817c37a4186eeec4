"""Keyframes with boxes and what is done in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ivcore.show.style import DPI

TRUE, FOUND = "#FFFFFF", "#E69F00"
SIDE = 2.6  # inches of a keyframe


def boxes_on_keyframes(frames: Sequence[np.ndarray], true: Sequence[list], found: Sequence[list], columns: int = 4):
    """Keyframes uint8 (H, W, 3), each with its true boxes (solid) and those found (dashed). -> Figure

    true, found: for each keyframe a list of (box x1, y1, x2, y2 in shares of the picture, text).
    """
    import matplotlib.pyplot as plt

    rows = -(-len(frames) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(SIDE * columns, (SIDE + 0.55) * rows), squeeze=False, dpi=DPI, layout="constrained")  # fmt: skip
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, frame, real, guessed in zip(axes.flat, frames, true, found):
        axis.imshow(frame, interpolation="nearest", extent=(0, 1, 1, 0))
        for items, colour, style in ((real, TRUE, "-"), (guessed, FOUND, "--")):
            for box, _ in items:
                _frame(axis, box, colour, style)
        axis.text(0, 1.02, "\n".join(f"true: {text}" for _, text in real), va="top", fontsize=8)
        lines = max(1, len(real))
        axis.text(
            0,
            1.02 + 0.075 * lines,
            "\n".join(f"found: {text}" for _, text in guessed),
            va="top",
            fontsize=8,
            color="#9A6700",
        )
    return figure


def _frame(axis, box, colour: str, style: str) -> None:
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    for width, edge in ((3.2, "black"), (1.6, colour)):
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=width, ec=edge, ls=style))
