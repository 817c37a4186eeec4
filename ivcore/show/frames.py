"""Rows of frames as one picture: the canvas under every film strip.

A clip is uint8 (T, H, W, 3), as from the reader, or float (3, T, H, W) in [0, 1], as in the losses. Every pixel becomes
a square of whole screen pixels, so that a clip of 32 pixels is visible; larger frames are made smaller.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from ivcore.errors import ParameterError
from ivcore.show.style import DPI

WIDTH = 8.2  # inches for the frames of a row
LARGEST = 1.15  # inches for one frame
GAP = 0.05  # between frames, in inches
LINE = 0.2  # height of a line of captions, in inches


@dataclass(frozen=True)
class Row:
    """A line of frames (T, H, W, 3) with a label on the left and, if given, a caption over each frame."""

    label: str
    frames: np.ndarray
    captions: tuple[str, ...] = ()


def as_frames(clip) -> np.ndarray:
    """uint8 (T, H, W, 3), or float (3, T, H, W) in [0, 1] -> uint8 (T, H, W, 3). ParameterError for anything else."""
    if hasattr(clip, "detach"):
        clip = clip.detach().cpu().numpy()
    if clip.ndim == 4 and clip.dtype == np.uint8 and clip.shape[-1] == 3:
        return clip
    if clip.ndim == 4 and clip.dtype.kind == "f" and clip.shape[0] == 3:
        return (np.clip(clip.transpose(1, 2, 3, 0), 0, 1) * 255 + 0.5).astype(np.uint8)
    expected = "uint8 (T, H, W, 3) or float (3, T, H, W)"
    raise ParameterError(f"clip: expected {expected}, got {clip.dtype} {tuple(clip.shape)}")


def draw(rows: list[Row], title: str | None = None):
    """-> a matplotlib Figure. Rows may differ in length and frame size; smaller frames are centred on white."""
    import matplotlib.pyplot as plt

    rows = fitted(_of_one_size(rows))
    canvas, corners = _canvas(rows)
    height, width = canvas.shape[:2]
    figure = plt.figure(figsize=(width / DPI, height / DPI), layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(canvas, interpolation="nearest")
    axes.set_axis_off()
    _label(axes, rows, corners)
    if title:
        axes.set_title(title, loc="left", pad=6)
    return figure


def _of_one_size(rows: list[Row]) -> list[Row]:
    height, width = (max(row.frames.shape[side] for row in rows) for side in (1, 2))
    return [Row(row.label, _centred(row.frames, height, width), row.captions) for row in rows]


def _centred(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    tall, wide = height - frames.shape[1], width - frames.shape[2]
    edges = ((0, 0), (tall // 2, tall - tall // 2), (wide // 2, wide - wide // 2), (0, 0))
    return np.pad(frames, edges, constant_values=255)


def fitted(rows: list[Row]) -> list[Row]:
    """Resizes every frame to its size in the figure: magnified by a whole number, or made smaller."""
    columns = max(len(row.frames) for row in rows)
    room = int(min(LARGEST, WIDTH / columns - GAP) * DPI)
    return [Row(row.label, _magnified(row.frames, room), row.captions) for row in rows]


def _magnified(frames: np.ndarray, room: int) -> np.ndarray:
    height, width = frames.shape[1:3]
    if width > room:
        from ivcore.video.resize import resize

        return resize(frames, max(1, round(height * room / width)), room)
    return frames.repeat(room // width, axis=1).repeat(room // width, axis=2)


def _canvas(rows: list[Row]) -> tuple[np.ndarray, list[list[tuple[int, int]]]]:
    """The white canvas with all frames, and each frame's (x, y) corner."""
    height, width = rows[0].frames.shape[1:3]
    gap, y, corners = round(GAP * DPI), 0, []
    for row in rows:
        y += round(LINE * DPI) if row.captions else 0
        corners.append([(i * (width + gap), y) for i in range(len(row.frames))])
        y += height + gap
    columns = max(len(row.frames) for row in rows)
    canvas = np.full((y - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for row, places in zip(rows, corners):
        for frame, (x, y) in zip(row.frames, places):
            canvas[y : y + height, x : x + width] = frame
    return canvas, corners


def _label(axes, rows: list[Row], corners) -> None:
    height, width = rows[0].frames.shape[1:3]
    for row, places in zip(rows, corners):
        label = textwrap.fill(row.label, 20)
        axes.text(-0.08 * DPI, places[0][1] + height / 2, label, ha="right", va="center", fontsize=10)
        for caption, (x, y) in zip(row.captions, places):
            axes.text(x + width / 2, y - 0.03 * DPI, caption, ha="center", va="bottom", fontsize=9)
