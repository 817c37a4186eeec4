"""Attention maps drawn over the frames that they belong to."""

from __future__ import annotations

import numpy as np

from ivcore.errors import ParameterError
from ivcore.show import frames as film

DARK = 0.45  # share of a frame's brightness that stays visible under the colours
MARK = (255, 40, 40)


def attention_strip(clip, maps: dict, marked: tuple[int, int, int] | None = None, title: str | None = None):
    """The clip, one frame for each slot, and below it each map over the same frames. -> Figure

    clip: uint8 (T, H, W, 3) or float (3, T, H, W). maps: name -> weights (t, h, w), T, H and W multiples of t, h and w;
    all maps have the same t. Colours run from 0 to the map's largest weight, which its label gives as a multiple of
    uniform attention. marked: (t, h, w) of the query token, framed in the first row on the first map's grid.
    """
    frames = film.as_frames(clip)
    maps = {name: _plain(weights) for name, weights in maps.items()}
    first = next(iter(maps.values()))
    slots, length = first.shape[0], len(frames) // first.shape[0]
    shown = frames if marked is None else framed(frames, marked, first.shape)
    rows = [film.Row("clip", shown[::length], tuple(f"slot {slot}" for slot in range(slots)))]
    for name, weights in maps.items():
        most = weights.max() / weights.mean()
        label = f"{name}, up to {most:.3g} × equal"
        rows.append(film.Row(label, overlay(frames, weights)[::length]))
    return film.draw(rows, title)


def overlay(clip, weights) -> np.ndarray:
    """The darkened frames under weights (t, h, w) in viridis, from 0 to the largest. -> uint8 (T, H, W, 3)"""
    from matplotlib import colormaps

    frames, weights = film.as_frames(clip), _plain(weights)
    _check(weights.shape, frames.shape[:3])
    colours = colormaps["viridis"](weights / max(weights.max(), 1e-12))[..., :3] * 255
    for axis, (places, size) in enumerate(zip(weights.shape, frames.shape)):
        colours = colours.repeat(size // places, axis=axis)
    grey = frames.mean(-1, keepdims=True)
    return (DARK * grey + (1 - DARK) * colours + 0.5).astype(np.uint8)


def framed(frames: np.ndarray, place, grid) -> np.ndarray:
    """uint8 (T, H, W, 3) with a border inside one token, that at place (t, h, w) of a grid (t, h, w)."""
    _check(grid, frames.shape[:3])
    (t0, t1), (y0, y1), (x0, x1) = (
        (at * size // places, (at + 1) * size // places) for at, size, places in zip(place, frames.shape, grid)
    )
    framed = frames.copy()
    inside = framed[t0:t1, y0:y1, x0:x1]
    thick = max(1, (y1 - y0) // 8)
    inside[:, :thick] = inside[:, -thick:] = inside[:, :, :thick] = inside[:, :, -thick:] = MARK
    return framed


def _check(grid, pixels) -> None:
    if len(grid) != 3 or any(p % g for p, g in zip(pixels, grid)):
        raise ParameterError(f"attention {tuple(grid)}: does not fit a clip of {tuple(pixels)} frames and pixels")


def _plain(weights) -> np.ndarray:
    return weights.detach().float().cpu().numpy() if hasattr(weights, "detach") else np.asarray(weights)
