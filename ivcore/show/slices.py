"""Space-time slices: one row and one column of a clip's pixels over time. Motion becomes a slanted line."""

from __future__ import annotations

from ivcore.errors import ParameterError
from ivcore.show import frames as film
from ivcore.show.style import OKABE_ITO

LINES = {"row": (OKABE_ITO[3], "-"), "column": (OKABE_ITO[0], "--")}


def space_time_slices(clip, row: int, column: int, title: str | None = None):
    """The middle frame with both lines in it, then that row over time and that column over time; time runs down and to
    the right. -> Figure

    clip: uint8 (T, H, W, 3) or float (3, T, H, W). ParameterError for a row or column outside of it.
    """
    import matplotlib.pyplot as plt

    frames = film.as_frames(clip)
    length, height, width = frames.shape[:3]
    if not (0 <= row < height and 0 <= column < width):
        raise ParameterError(f"row={row}, column={column}: must lie in a frame of {height} x {width} pixels")
    figure = plt.figure(figsize=(8.4, 2.7), layout="none")  # fixed layout: an explorer redraws this often
    whole, across, down = (
        figure.add_axes((left, 0.2, 0.25, 0.66), xticks=[], yticks=[]) for left in (0.05, 0.39, 0.73)
    )
    whole.imshow(frames[length // 2], interpolation="nearest")
    for line, at, (colour, style) in zip((whole.axhline, whole.axvline), (row, column), LINES.values()):
        line(at, color=colour, ls=style, lw=2)
    whole.set(title=f"frame {length // 2}", xlabel="x, pixels", ylabel="y, pixels")
    across.imshow(frames[:, row], interpolation="nearest", aspect="auto")
    across.set(title=f"row {row} (full line)", xlabel="x, pixels", ylabel="frame")
    down.imshow(frames[:, :, column].swapaxes(0, 1), interpolation="nearest", aspect="auto")
    down.set(title=f"column {column} (dashed line)", xlabel="frame", ylabel="y, pixels")
    for axes, ends in ((whole, (width, height)), (across, (width, length)), (down, (length, height))):
        axes.set(xticks=(0, ends[0] - 1), yticks=(0, ends[1] - 1))
    if title:
        whole.text(-0.02, 1.16, title, transform=whole.transAxes, fontsize=10)
    return figure
