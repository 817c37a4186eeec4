"""Clips as film strips: one clip over several lines, or several clips below each other."""

from __future__ import annotations

import numpy as np

from ivcore.show import frames as film

PER_LINE = 8


def film_strip(clip, every: int = 1, title: str | None = None, captions=None, numbers=None):
    """Every `every`-th frame of a clip, eight a line. -> Figure

    clip: uint8 (T, H, W, 3) or float (3, T, H, W). captions: a text for each frame shown; by default its number,
    counted from 0 or taken from `numbers` (T,), such as the sampled indices.
    """
    clip = film.as_frames(clip)
    numbers = range(len(clip)) if numbers is None else numbers
    captions = [str(int(n)) for n in list(numbers)[::every]] if captions is None else list(captions)
    shown = clip[::every]
    lines = range(0, len(shown), PER_LINE)
    rows = [film.Row("", shown[i : i + PER_LINE], tuple(map(str, captions[i : i + PER_LINE]))) for i in lines]
    return film.draw(rows, title)


def clip_grid(clips, names, frames: int = 8, title: str | None = None):
    """A row for each clip, with `frames` frames from first to last. -> Figure

    clips: arrays (T, H, W, 3) of any length and frame size. names: the labels on the left.
    """
    rows = [film.Row(str(name), spread(film.as_frames(clip), frames)) for clip, name in zip(clips, names)]
    return film.draw(rows, title)


def spread(clip: np.ndarray, frames: int) -> np.ndarray:
    places = np.linspace(0, len(clip) - 1, min(frames, len(clip)))
    return clip[np.floor(places + 0.5).astype(int)]
