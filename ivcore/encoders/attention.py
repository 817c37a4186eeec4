"""Multi-head attention with the fused kernel; computes attention weights only on request."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ivcore.encoders.intermediates import Record, add_to, is_recorded


def attend(
    q: Tensor, k: Tensor, v: Tensor, causal: bool = False, record: Record = None, name: str = "attention"
) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for q (B, heads, N, d) and k, v (B, heads, M, d) -> (B, N, heads*d).

    If `name` is recorded, the weights (B, heads, N, M) are computed, kept and used, so that a picture shows what the model did.
    """
    if is_recorded(record, name):
        weights = _weights(q, k, causal)
        add_to(record, name, weights)
        out = weights.to(v.dtype) @ v
    else:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return rearrange(out, "b h n d -> b n (h d)")


def _weights(q: Tensor, k: Tensor, causal: bool) -> Tensor:
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if causal:
        later = scores.new_ones(scores.shape[-2:]).triu(1).bool()
        scores = scores.masked_fill(later, float("-inf"))
    return scores.softmax(-1, dtype=scores.dtype)
