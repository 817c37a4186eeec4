"""Masks: the tokens that are hidden from a masked video encoder (paper 3.1.1; VideoMAE, arXiv 2203.12602, section 3.3).

A mask is bool (B, N), True = hidden; N = t*h*w tokens, time-major, then row-major. Every row hides the same number
of tokens, so the visible ones stack into one tensor. `grid` is (t, h, w) in tokens, not pixels. Randomness comes only
from the generator that is passed in. Masks are made on the generator's device (CPU by default). Leave them there: the
model counts their tokens, and counting on a GPU would wait for it.
"""

from __future__ import annotations

import torch
from einops import repeat
from torch import Tensor

from ivcore import rng
from ivcore.errors import ParameterError

Grid = tuple[int, int, int]


def tube(batch: int, grid: Grid, ratio: float, generator: torch.Generator | None = None) -> Tensor:
    """Hides the same floor(ratio*h*w) cells in every temporal slot, so the next frame cannot reveal them."""
    t, h, w = _checked(grid, ratio)
    cells = _hide_random(batch, h * w, int(ratio * (h * w)), generator)
    return repeat(cells, "b s -> b (t s)", t=t)


def random(batch: int, grid: Grid, ratio: float, generator: torch.Generator | None = None) -> Tensor:
    """Hides floor(ratio*t*h*w) tokens anywhere in space and time."""
    t, h, w = _checked(grid, ratio)
    return _hide_random(batch, t * h * w, int(ratio * (t * h * w)), generator)


def frame(batch: int, grid: Grid, ratio: float, generator: torch.Generator | None = None) -> Tensor:
    """Hides floor(ratio*t) whole temporal slots."""
    t, h, w = _checked(grid, ratio)
    slots = _hide_random(batch, t, int(ratio * t), generator)
    return repeat(slots, "b t -> b (t s)", s=h * w)


def running_cell(batch: int, grid: Grid, ratio: float, generator: torch.Generator | None = None) -> Tensor:
    """Hides all but a pattern that moves clockwise round every 2x2 cell over time (VideoMAE v2, arXiv 2303.16727, 3.2).

    `ratio` is rounded to quarters, at most 3/4: one token of each cell is always visible. The start position is drawn
    for each clip; over four slots every token is visible equally often. ParameterError unless h and w are even.
    """
    t, h, w = _checked(grid, ratio)
    if h % 2 or w % 2:
        raise ParameterError(f"grid: running cells need an even height and width, not {h}x{w}")
    hidden = min(3, round(4 * ratio))
    start = torch.randint(4, (batch, 1, 1), generator=generator, device=_device(generator))
    slot = torch.arange(t, device=start.device).view(1, t, 1)
    place = torch.tensor([0, 1, 3, 2], device=start.device)  # clockwise round the cell, in row-major order
    mask = (place - start - slot) % 4 >= 4 - hidden
    return repeat(mask, "b t (p q) -> b (t h p w q)", p=2, q=2, h=h // 2, w=w // 2)


# name -> mask(batch, grid, ratio, generator)
MASKS = {"tube": tube, "random": random, "frame": frame, "running cell": running_cell}


def split(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of visible (B, N-M) and hidden tokens (B, M), in token order. ParameterError if the counts differ."""
    counts = mask.sum(1)
    hidden = int(counts[0])
    if bool((counts != hidden).any()):
        raise ParameterError(
            f"mask: every clip must hide the same number of tokens, not {sorted(set(counts.tolist()))}"
        )
    order = mask.to(torch.uint8).argsort(dim=1, stable=True)
    return order[:, : mask.shape[1] - hidden], order[:, mask.shape[1] - hidden :]


def some_of(hidden: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """Samples a share of each clip's hidden tokens: indices (B, M) -> (B, max(1, floor(share*M))), in token order.

    ParameterError unless 0 < share <= 1.
    """
    if not 0 < share <= 1:
        raise ParameterError(f"share: {share} is not in (0, 1]")
    draw = lambda count: torch.rand(count, hidden.shape[1], generator=generator, device=_device(generator))  # noqa: E731
    noise = rng.rows(draw, len(hidden), generator)
    kept = noise.argsort(dim=1)[:, : max(1, int(share * hidden.shape[1]))]
    return hidden.gather(1, kept.sort(dim=1).values)


def _hide_random(batch: int, places: int, hidden: int, generator: torch.Generator | None) -> Tensor:
    noise = torch.rand(batch, places, generator=generator, device=_device(generator))
    mask = torch.zeros(batch, places, dtype=torch.bool, device=noise.device)
    return mask.scatter_(1, noise.argsort(dim=1)[:, :hidden], True)


def _device(generator: torch.Generator | None) -> torch.device:
    return generator.device if generator is not None else torch.device("cpu")


def _checked(grid: Grid, ratio: float) -> Grid:
    if not 0 <= ratio < 1:
        raise ParameterError(f"mask ratio: {ratio} is not in [0, 1)")
    if len(grid) != 3 or min(grid) < 1:
        raise ParameterError(f"grid: {tuple(grid)} is not three positive sizes (t, h, w)")
    return tuple(grid)
