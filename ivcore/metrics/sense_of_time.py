"""An encoder's sensitivity to time: how far a change at one moment spreads, and how much shuffling changes the
output.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor


def change_by_layer(model, clip: Tensor, frame: int, width: int = 1) -> np.ndarray:
    """Mean change of the tokens after each layer (rows) at each time slot (columns), when frames are turned grey.

    clip: (B, C, T, H, W), normalised. frame: the first of `width` grey frames.
    """
    changed = clip.clone()
    changed[:, :, frame : frame + width] = 0
    tokens = [torch.stack(model(x, return_intermediates=("tokens",))[1]["tokens"]) for x in (clip, changed)]
    difference = (tokens[0] - tokens[1]).abs()
    if difference.dim() == 4:  # the masked encoder's: time and space in one axis
        difference = rearrange(difference, "l b (t s) d -> l b t s d", t=model.grid[0])
    return reduce(difference, "l b t s d -> l t", "mean").numpy()


def change_by_shuffling(encode, clip: Tensor, seed: int, length: int = 1) -> float:
    """Distance that the output moves when time slots of `length` frames are shuffled, as a share of its norm."""
    slots = rearrange(clip, "b c (t p) h w -> b c t p h w", p=length)
    order = torch.randperm(slots.shape[2], generator=torch.Generator().manual_seed(seed))
    feature, moved = encode(clip), encode(rearrange(slots[:, :, order], "b c t p h w -> b c (t p) h w"))
    return ((feature - moved).norm() / feature.norm()).item()
