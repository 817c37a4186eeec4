"""How much of the content that a mask hides can be copied from the same place at another time, without a model (paper
3.1.1; VideoMAE 3.3).

Neighbouring frames look alike. So a mask that hides a cell in one slot and shows it in the next leaks the answer:
copying scores well and teaches nothing. Contents are (B, N, P), one row for each tubelet, as
`losses.reconstruction.targets` gives them for a mask that hides everything; masks are bool (B, N), True = hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from ivcore.errors import ParameterError
from ivcore.tubelets import CHANNEL_FIRST, gather, scatter_


@dataclass(frozen=True)
class Leak:
    """The result of copying.

    seen: share of hidden tubelets whose cell is visible in another slot. gap: mean distance to it in slots (0 if none).
    error: squared error of copying, as a share of the error of predicting 0, each tubelet's mean; explained = 1 -
    error.
    """

    seen: float
    gap: float
    error: float

    @property
    def explained(self) -> float:
        return 1 - self.error


def leak(contents: Tensor, mask: Tensor, grid: tuple[int, int, int]) -> Leak:
    """How well the nearest visible tubelet of the same cell predicts each hidden one.

    Copies are scaled by one factor for each distance in slots, the best one for these clips, so a bad copy is no worse
    than predicting 0. If a cell is never visible, the prediction is 0. ParameterError if the mask hides nothing or the
    sizes do not fit.
    """
    t, h, w = grid
    if mask.shape != contents.shape[:2] or mask.shape[1] != t * h * w:
        raise ParameterError(
            f"contents {tuple(contents.shape)}, mask {tuple(mask.shape)}: do not fit grid {tuple(grid)}"
        )
    if not mask.any():
        raise ParameterError("mask: hides nothing")
    source, gap = nearest(mask, t)
    asked, gap = contents[mask], gap[mask]
    copies = torch.take_along_dim(contents, source[..., None], 1)[mask]
    copies = copies * _factors(asked, copies, gap)[:, None]
    error = (asked - copies).square().sum() / asked.square().sum()
    gaps = gap[gap > 0].double()
    return Leak(len(gaps) / len(gap), gaps.mean().item() if len(gaps) else 0.0, error.item())


def copied(frames: Tensor, mask: Tensor, cell: tuple[int, int, int], grey: int = 140) -> Tensor:
    """One clip uint8 (T, H, W, 3) with each hidden tubelet replaced by its nearest copy, grey if there is none. mask:
    (N,)
    """
    clip = rearrange(frames, "t h w c -> 1 c t h w").clone()
    contents = gather(clip, cell)
    source, gap = nearest(mask[None], frames.shape[0] // cell[0])
    filled = torch.take_along_dim(contents, source[..., None], 1)
    filled[(gap == 0) & mask] = grey
    everything = torch.arange(mask.numel())[None]
    return rearrange(scatter_(clip, cell, everything, filled, CHANNEL_FIRST), "1 c t h w -> t h w c")


def nearest(mask: Tensor, slots: int) -> tuple[Tensor, Tensor]:
    """For each token the nearest visible one of its cell: its index and its distance in slots, both int64 (B, N).

    On a tie the earlier one. Visible tokens, and those whose cell is never visible, get their own index and 0.
    """
    visible = rearrange(~mask, "b (t s) -> b s 1 t", t=slots)
    slot = torch.arange(slots, device=mask.device)
    away = (slot[:, None] - slot).abs().masked_fill(~visible, slots)  # (B, s, t of the target, t of the source)
    away, source = rearrange(away, "b s t u -> b t s u").min(-1)
    away = torch.where(away == slots, 0, away)
    cells = mask.shape[1] // slots
    own = torch.arange(mask.shape[1], device=mask.device).view(slots, cells)
    source = torch.where(away == 0, own, source * cells + torch.arange(cells, device=mask.device))
    return rearrange(source, "b t s -> b (t s)"), rearrange(away, "b t s -> b (t s)")


def _factors(asked: Tensor, copies: Tensor, gap: Tensor) -> Tensor:
    """(M, P), (M, P), gaps (M,) -> the least-squares factor of each row's gap (M,); 0 for gap 0."""
    slots = int(gap.max()) + 1
    over, under = torch.zeros(2, slots, device=asked.device).index_add_(
        1, gap, torch.stack([(asked * copies).sum(1), copies.square().sum(1)])
    )
    factors = over / under.clamp_min(1e-12)
    factors[0] = 0
    return factors[gap]
