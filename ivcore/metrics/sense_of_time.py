"""Does an encoder notice time? How far a change at one place in time reaches, and what shuffling the places changes."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor


def change_by_layer(model, clip: Tensor, frame: int, width: int = 1) -> np.ndarray:
    """Mean change of the tokens after each layer (rows) at each place in time (columns), when frames are turned grey.

    clip: (B, C, T, H, W), normalised. frame: the first grey one of `width`.
    """
    changed = clip.clone()
    changed[:, :, frame : frame + width] = 0
    tokens = [torch.stack(model(x, return_intermediates=("tokens",))[1]["tokens"]) for x in (clip, changed)]
    difference = (tokens[0] - tokens[1]).abs()
    if difference.dim() == 4:  # the masked encoder's: time and space in one axis
        difference = rearrange(difference, "l b (t s) d -> l b t s d", t=model.grid[0])
    return reduce(difference, "l b t s d -> l t", "mean").numpy()


def change_by_shuffling(encode, clip: Tensor, seed: int, length: int = 1) -> float:
    """How far the output moves when places in time, `length` frames each, are shuffled; as a share of its length."""
    slots = rearrange(clip, "b c (t p) h w -> b c t p h w", p=length)
    order = torch.randperm(slots.shape[2], generator=torch.Generator().manual_seed(seed))
    feature, moved = encode(clip), encode(rearrange(slots[:, :, order], "b c t p h w -> b c (t p) h w"))
    return ((feature - moved).norm() / feature.norm()).item()
