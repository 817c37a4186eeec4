"""Attention rollout: how much of each input reaches a token through all layers (Abnar and Zuidema, arXiv
2005.00928).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def rollout(attention: Sequence[Tensor]) -> Tensor:
    """Attention of each layer, (N, N) averaged over heads, with rows that sum to 1 -> (N, N): row i has the share of
    token i from each input.

    In a layer half of a token bypasses attention and half goes through it, so each matrix is averaged with the
    identity; then all are multiplied.
    """
    through = torch.eye(len(attention[0]), dtype=attention[0].dtype, device=attention[0].device)
    for layer in attention:
        through = (layer + torch.eye(len(layer), dtype=layer.dtype, device=layer.device)) / 2 @ through
    return through
