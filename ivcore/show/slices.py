"""Space-time slices: one row and one column of a clip's pixels, frame after frame. What moves becomes a slanted line."""

from __future__ import annotations

from ivcore.errors import ParameterError
from ivcore.show import frames as film
from ivcore.show.style import OKABE_ITO, titled

LINES = {"row": (OKABE_ITO[3], "-"), "column": (OKABE_ITO[0], "--")}


def space_time_slices(clip, row: int, column: int, title: str | None = None):
    """The middle frame with both lines in it, then that row over time and that column over time; time runs downwards and to the right. -> Figure

    clip: uint8 (T, H, W, 3) or float (3, T, H, W). ParameterError for a row or column outside of it.
    """
    import matplotlib.pyplot as plt

    frames = film.as_frames(clip)
    length, height, width = frames.shape[:3]
    if not (0 <= row < height and 0 <= column < width):
        raise ParameterError(f"row={row}, column={column}: must lie in a frame of {height} x {width} pixels")
    figure, (whole, across, down) = plt.subplots(1, 3, figsize=(8.4, 3), layout="constrained")
    whole.imshow(frames[length // 2], interpolation="nearest")
    for line, at, (colour, style) in zip((whole.axhline, whole.axvline), (row, column), LINES.values()):
        line(at, color=colour, ls=style, lw=2)
    whole.set(title=f"frame {length // 2}", xlabel="x, pixels", ylabel="y, pixels")
    across.imshow(frames[:, row], interpolation="nearest", aspect="auto")
    across.set(title=f"row {row} (full line)", xlabel="x, pixels", ylabel="frame")
    down.imshow(frames[:, :, column].swapaxes(0, 1), interpolation="nearest", aspect="auto")
    down.set(title=f"column {column} (dashed line)", xlabel="frame", ylabel="y, pixels")
    return titled(figure, title)
