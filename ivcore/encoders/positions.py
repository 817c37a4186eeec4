"""The fixed sine-cosine position table of VideoMAE, and its resizing to other clips.

The position is the flat token index n (time-major), not three coordinates: channel j has the angle n / 10000^(2*floor(j/2)/C);
even channels are sines, odd channels cosines.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

Grid = tuple[int, int, int]


def sine_cosine(tokens: int, width: int) -> Tensor:
    """(1, tokens, width) float32, computed in float64 as published.

    Uses numpy, so that a model built on the meta device still has a real table.
    """
    channel = np.arange(width)
    angle = np.arange(tokens)[:, None] / np.power(10000.0, 2 * (channel // 2) / width)
    table = np.where(channel % 2 == 0, np.sin(angle), np.cos(angle))
    return torch.from_numpy(table.astype(np.float32))[None]


def resize(table: Tensor, old: Grid, new: Grid) -> Tensor:
    """Resizes (1, t*h*w, C) between grids (t, h, w): bicubic in space, then linear in time, as in the released fine-tuning."""
    t, h, w = old
    if old[1:] != new[1:]:
        planes = rearrange(table, "1 (t h w) c -> t c h w", t=t, h=h, w=w)
        planes = F.interpolate(planes, size=new[1:], mode="bicubic", align_corners=False)
        table = rearrange(planes, "t c h w -> 1 (t h w) c")
    if t != new[0]:
        lines = rearrange(table, "1 (t s) c -> s c t", t=t)
        lines = F.interpolate(lines, size=new[0], mode="linear", align_corners=False)
        table = rearrange(lines, "s c t -> 1 (t s) c")
    return table


def resize_beside_class(table: Tensor, side: int) -> Tensor:
    """Resizes CLIP's (1 + h*h, C), class token first, to (1 + side*side, C): bicubic, as in the released UniFormerV2."""
    old = round((len(table) - 1) ** 0.5)
    if old == side:
        return table
    patches = resize(table[None, 1:].float(), (1, old, old), (1, side, side))[0]
    return torch.cat((table[:1], patches.to(table)))
