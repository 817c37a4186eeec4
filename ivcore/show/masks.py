"""The part of a clip that a mask leaves visible: hidden tubelets are covered in grey."""

from __future__ import annotations

import numpy as np

from ivcore.errors import ParameterError
from ivcore.show import frames as film

GREY = 140
COVER = 0.88  # hidden content stays faintly visible, so that readers can judge what is missing


def hide(clip, mask, grid: tuple[int, int, int], cover: float = COVER) -> np.ndarray:
    """The frames of a clip with the tubelets of `mask` (N,), True = hidden, covered in grey. -> uint8 (T, H, W, 3)"""
    frames = film.as_frames(clip)
    hidden = _per_pixel(np.asarray(mask, bool), grid, frames.shape[:3])
    covered = frames * (1 - cover) + GREY * cover
    return np.where(hidden[..., None], covered + 0.5, frames).astype(np.uint8)


def mask_film_strip(clip, masks: dict, grid: tuple[int, int, int], title: str | None = None):
    """The clip, and below it the visible part under each mask: one frame for each temporal slot. -> Figure

    clip: uint8 (T, H, W, 3) or float (3, T, H, W). masks: name -> bool (N,), True = hidden. grid: tokens along (t, h,
    w).
    """
    frames = film.as_frames(clip)
    length = len(frames) // grid[0]
    slots = tuple(f"slot {slot}" for slot in range(grid[0]))
    rows = [film.Row("clip", frames[::length], slots)]
    rows += [film.Row(name, hide(frames, mask, grid)[::length]) for name, mask in masks.items()]
    return film.draw(rows, title)


def _per_pixel(mask: np.ndarray, grid, pixels) -> np.ndarray:
    """bool (N,) -> bool (T, H, W)"""
    if mask.shape != (np.prod(grid),) or any(p % g for p, g in zip(pixels, grid)):
        raise ParameterError(
            f"mask {mask.shape}, grid {tuple(grid)}: do not fit a clip of {tuple(pixels)} frames and pixels"
        )
    mask = mask.reshape(grid)
    for axis, (places, size) in enumerate(zip(grid, pixels)):
        mask = mask.repeat(size // places, axis=axis)
    return mask
