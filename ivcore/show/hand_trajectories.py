"""Paths of hands: true and predicted, over the last input frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ivcore.show.style import DPI, OKABE_ITO

HANDS = (("left", OKABE_ITO[1], "o"), ("right", OKABE_ITO[4], "s"))
SIDE = 2.4  # width of a picture, inches


def hand_paths(frames: Sequence[np.ndarray], true: Sequence[np.ndarray], found: Sequence[np.ndarray], columns: int = 4):
    """Pictures uint8 (H, W, 3), each with paths (5, 2, 2): keyframes, left and right hand, x and y as shares of the
    picture; nan is not drawn. -> Figure

    True paths are solid with filled marks, predicted ones dashed with hollow marks, at moments whose truth is known.
    The left hand has dots, the right hand squares. The last mark, the contact, is the largest. Dark edges keep
    everything visible on any background.
    """
    import matplotlib.pyplot as plt
    from matplotlib.patheffects import withStroke

    rows = max(1, -(-len(frames) // columns))
    figure, axes = plt.subplots(rows, columns, figsize=(SIDE * columns, SIDE * rows + 0.4), squeeze=False, dpi=DPI, layout="constrained")  # fmt: skip
    for axis in axes.flat:
        axis.set_axis_off()
    lines, edge = {}, [withStroke(linewidth=3.6, foreground="black")]
    for axis, frame, real, guessed in zip(axes.flat, frames, true, found):
        axis.imshow(frame, interpolation="nearest", extent=(0, 1, 1, 0))
        axis.set(xlim=(0, 1), ylim=(1, 0))
        for which, (hand, colour, mark) in enumerate(HANDS):
            known = ~np.isnan(real[:, which]).any(-1)
            if not known.any():
                continue
            for path, name, style, face in ((real, "true", "-", colour), (guessed, "predicted", "--", "white")):
                x, y = np.where(known, path[:, which].T, np.nan)
                looks = {"color": colour, "mfc": face, "mec": colour, "mew": 1.2, "path_effects": edge}
                (lines[f"{hand}, {name}"],) = axis.plot(x, y, style, marker=mark, lw=1.8, ms=3.7, **looks)
                axis.plot(x[-1:], y[-1:], mark, ms=7.4, zorder=3, **looks)
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4, frameon=False)
    return figure
