"""Reads and writes chosen tubelets of clips.

A tubelet is `cell` = (frames, pixels, pixels) of a clip (B, C, T, H, W). Token indices count time-major, then
row-major.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

Cell = tuple[int, int, int]
CHANNEL_FIRST = "c p0 p1 p2"  # as a Conv3d's weights
CHANNEL_LAST = "p0 p1 p2 c"  # as VideoMAE's predictions


def gather(video: Tensor, cell: Cell, tokens: Tensor | None = None, order: str = CHANNEL_FIRST) -> Tensor:
    """(B, C, T, H, W) -> (B, n, values of a tubelet) for token indices (B, n); None: all. Copies once."""
    cells = view(video, cell, order)
    if tokens is None:
        return rearrange(cells, "b t h w x y z s -> b (t h w) (x y z s)")
    return cells[_places(tokens, cells)].flatten(2)


def scatter_(video: Tensor, cell: Cell, tokens: Tensor, values: Tensor, order: str = CHANNEL_LAST) -> Tensor:
    """Writes values (B, n, values of a tubelet) into the tubelets of `video` with indices (B, n), in place."""
    cells = view(video, cell, order)
    cells[_places(tokens, cells)] = values.unflatten(2, cells.shape[4:]).to(video.dtype)
    return video


def view(video: Tensor, cell: Cell, order: str = CHANNEL_FIRST) -> Tensor:
    """A view (B, t, h, w, *order) of a clip; nothing is copied."""
    p0, p1, p2 = cell
    return rearrange(video, f"b c (t p0) (h p1) (w p2) -> b t h w {order}", p0=p0, p1=p1, p2=p2)


def _places(tokens: Tensor, cells: Tensor) -> tuple[Tensor, ...]:
    tokens = tokens.to(cells.device)
    height, width = cells.shape[2:4]
    clip = torch.arange(len(tokens), device=tokens.device)[:, None]
    return clip, tokens // (height * width), tokens // width % height, tokens % width
