"""Attention maps of cross-model attention in one clip, over the frames."""

from __future__ import annotations

import torch
from torch import Tensor

from ivcore.cma import Coordinated
from ivcore.stages.cross_model import modules_of, prepared


@torch.inference_mode()
def attention_maps(model: Coordinated, clip: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
    """Attention of the modules on one clip, uint8 (1, both frames, H, W, 3), averaged over heads: (forward, reversed).

    forward: module -> (N, t, h, w), attention from each of the masked encoder's N tokens to the multimodal encoder's
    tokens, without class tokens. reversed: (t, h, w), attention from the query token to the masked encoder's tokens;
    None without the reversed module.
    """
    _, intermediates = model(prepared(model, clip), return_intermediates=("cross_attention",))
    means = [attention.mean(1)[0].cpu() for attention in intermediates["cross_attention"]]
    height, width = model.multimodal.grid
    forward = {
        name: attention.unflatten(1, (-1, 1 + height * width))[:, :, 1:].unflatten(2, (height, width))
        for (name, _), attention in zip(modules_of(model).items(), means[: len(model.cma)])
    }
    return forward, None if model.last_cma is None else means[-1][0].unflatten(0, model.masked.grid)


def most_moving(frames: Tensor, grid: tuple[int, int, int]) -> tuple[int, int, int]:
    """(t, h, w): the token in the middle time slot of `grid` whose pixels change most over the frames, uint8 (T, H, W,
    3).
    """
    change = frames.float().mean(-1).diff(dim=0).abs().mean(0)
    cells = change.unflatten(0, (grid[1], -1)).unflatten(2, (grid[2], -1)).mean((1, 3))
    return grid[0] // 2, *divmod(int(cells.argmax()), grid[2])
