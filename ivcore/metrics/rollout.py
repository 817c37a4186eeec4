"""Attention rollout: what reaches a token through all layers (Abnar and Zuidema, arXiv 2005.00928)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def rollout(attention: Sequence[Tensor]) -> Tensor:
    """Attention of each layer, (N, N) averaged over heads, rows adding up to 1 -> (N, N): row i is the share of token i that comes from each input.

    A layer passes half of a token on past its attention, and half through it, so each matrix is averaged with the identity; then they are multiplied.
    """
    through = torch.eye(len(attention[0]), dtype=attention[0].dtype, device=attention[0].device)
    for layer in attention:
        through = (layer + torch.eye(len(layer), dtype=layer.dtype, device=layer.device)) / 2 @ through
    return through
