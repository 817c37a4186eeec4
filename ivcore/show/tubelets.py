"""A clip divided into its tubelets."""

from __future__ import annotations

import numpy as np

from ivcore.show import frames as film


def exploded(clip, cell: tuple[int, int, int], slots: int = 4, title: str | None = None):
    """The first temporal slots of a clip with gaps between tubelets, a row for each frame of a slot. -> Figure

    clip: uint8 (T, H, W, 3) or float (3, T, H, W). cell: frames, height and width of a tubelet. Patches at the same
    position in the rows of one column are one token.
    """
    frames = film.as_frames(clip)
    depth = cell[0]
    apart = _pushed_apart(frames[: slots * depth], *cell[1:])
    captions = tuple(f"slot {slot}" for slot in range(min(slots, len(frames) // depth)))
    names = [f"frame {i} of each slot" for i in range(depth)]
    rows = [film.Row(name, apart[i::depth], captions if i == 0 else ()) for i, name in enumerate(names)]
    return film.draw(rows, title)


def _pushed_apart(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """(T, H, W, 3) with white lines between cells, one eighth of a cell wide."""
    gap = max(1, height // 8)
    down, right = (np.arange(n) + np.arange(n) // p * gap for n, p in zip(frames.shape[1:3], (height, width)))
    out = np.full((len(frames), down[-1] + 1, right[-1] + 1, 3), 255, np.uint8)
    out[:, down[:, None], right[None, :]] = frames
    return out
