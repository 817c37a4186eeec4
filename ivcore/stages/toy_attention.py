"""Cross-model attention small enough to compute by hand: tokens of two numbers, one head, identity weights."""

from __future__ import annotations

import torch
from torch import Tensor

from ivcore.cma import CrossModelAttention

RED, BLUE, NEITHER = (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)


def toy_tokens() -> tuple[Tensor, Tensor]:
    """Tokens of two clips, each (2, 5, 2): as the masked encoder sees them, and as the multimodal encoder does.

    To the masked encoder both clips look the same: two red tokens, two blue ones, and one of neither colour. The
    multimodal encoder sees five red ones in the first clip, and one red and four blue ones in the second.
    """
    masked = [RED, RED, BLUE, BLUE, NEITHER]
    return torch.tensor([masked, masked]), torch.tensor([[RED] * 5, [RED] + [BLUE] * 4])


@torch.no_grad()
def toy_attention(attention: float | None = 0.0, feed_forward: float = 0.0) -> CrossModelAttention:
    """A module whose projections and both layers of the feed-forward network are identities.

    attention, feed_forward: the gates' parameters, before tanh; `math.inf` is a fully open gate. If attention is None
    there are no gates, and the feed-forward network adds 0.
    """
    module = CrossModelAttention(2, 2, heads=1, ffn_ratio=1.0, gate=None if attention is None else 0.0)
    for linear in (module.q, module.k, module.v, module.proj, module.ffn.fc1, module.ffn.fc2):
        linear.weight.copy_(torch.eye(2))
    if attention is None:
        module.ffn.fc2.weight.zero_()
    else:
        module.attention_gate.fill_(attention)
        module.ffn_gate.fill_(feed_forward)
    return module.eval()


@torch.no_grad()
def first_numbers(module: CrossModelAttention, masked: Tensor, multimodal: Tensor) -> Tensor:
    """The first number of each token (B, N) after the module: how red it is."""
    return module(masked, multimodal)[..., 0]
