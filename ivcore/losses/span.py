"""Training loss of a `SpanFinder`: cross-entropies for the first and the last moment of an answer, and one for the
moments inside it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EXTENDED = 0.1  # share of the answer's length that is also highlighted on either side, as published
LIT = 2.0  # weight of a moment in the answer relative to one outside in the highlighting loss, as published


def span_loss(model, batch: dict, generator=None, *, highlight_weight: float = 5.0) -> tuple[Tensor, dict]:
    """Loss of a batch dict(video (B, T, C), there (B, T), words (B, L, E), said (B, L), span int (B, 2): first and last
    moment) -> (scalar, {span_loss, highlight_loss}).
    """
    del generator
    span, there = batch["span"], batch["there"]
    start, end, highlight = model(batch["video"], there, batch["words"], batch["said"])
    located = F.cross_entropy(start.float(), span[:, 0]) + F.cross_entropy(end.float(), span[:, 1])
    wanted = highlighted(span, there.shape[1])
    each = F.binary_cross_entropy_with_logits(highlight.float(), wanted, reduction="none") * there
    lit = (each * (1 + (LIT - 1) * wanted)).sum(1).div(there.sum(1)).mean()
    return located + highlight_weight * lit, {"span_loss": located.detach(), "highlight_loss": lit.detach()}


def highlighted(span: Tensor, length: int) -> Tensor:
    """span (B, 2) -> (B, T) of 0 and 1: the answer, extended by EXTENDED of its length on either side."""
    place = torch.arange(length, device=span.device)
    reach = (EXTENDED * (span[:, 1] - span[:, 0] + 1)).round()
    return ((place >= (span[:, 0] - reach)[:, None]) & (place <= (span[:, 1] + reach)[:, None])).float()
