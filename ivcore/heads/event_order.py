"""A small head that predicts the order of distant events in a long video, from the features of its windows.

    head = EventOrder(channels=128, classes=15)
    when = head(features, mask)                                    # (B, K), earlier is smaller
    logits = first_logits(when, pairs)                             # (B, P), above 0: the first class of the pair happens first

Each class has a query that attends to the windows, which carry their positions. The answer to a pair is a difference,
so swapping the pair only changes its sign. `pool` is the control: a head of equal size on the mean of all windows, as a
clip model averages them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.errors import ParameterError


class EventOrder(nn.Module):
    """layers: of a transformer over the windows, before the queries attend to them. pool: use only the mean of the
    windows. ParameterError if width is not a multiple of 4.
    """

    def __init__(
        self, channels: int, classes: int, width: int = 64, layers: int = 1, dropout: float = 0.1, pool: bool = False
    ):
        super().__init__()
        if width % 4:
            raise ParameterError(f"width={width}: must be a multiple of 4")
        self.pool, self.width = pool, width
        self.norm, self.proj = nn.LayerNorm(channels), nn.Linear(channels, width)
        self.drop = nn.Dropout(dropout)
        layer = lambda: nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, batch_first=True, norm_first=True)  # noqa: E731
        self.layers = nn.ModuleList(layer() for _ in range(0 if pool else layers))
        self.queries = nn.Parameter(torch.randn(classes, width) * width**-0.5)
        self.keys, self.values = nn.Linear(width, width), nn.Linear(width, width)
        hidden = 2 * width
        if pool:  # the MLP gets as many extra weights as the transformer layers have; a hidden unit has width + 2
            hidden += round(layers * (8 * width * width + 11 * width) / (width + 2))
        self.when = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """features (B, T, C) in order, mask bool (B, T), True for a window -> (B, K): when each class happens, in no
        unit.
        """
        return self.look(features, mask)[0]

    def look(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, and log attention weights (B, K, T) of each class over the windows; with `pool`, logits (B, K)
        that the class happens.
        """
        x = self.drop(self.proj(self.norm(features)))
        if self.pool:
            weights = mask.float() / mask.sum(1, keepdim=True)
            x = torch.einsum("bt,btd->bd", weights, x)[:, None]
            return self.when(self.values(x) + self.queries)[..., 0], self._sought(x)[..., 0]
        x = x + places(mask, self.width).to(x.dtype)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~mask)
        found = self._sought(x).masked_fill(~mask[:, None], float("-inf")).log_softmax(-1)
        return self.when(found.exp() @ self.values(x))[..., 0], found

    def _sought(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, K, T): similarity of each window to each class's query."""
        return torch.einsum("kd,btd->bkt", self.queries, self.keys(x)) * self.width**-0.5


def places(mask: Tensor, width: int) -> Tensor:
    """(B, T, width): sines and cosines of each window's position from the start (0) to the end (1) of its video, for
    any length.
    """
    place = (mask.cumsum(1) - 0.5) / mask.sum(1, keepdim=True)
    rates = math.pi * 2 ** torch.linspace(-1, 5, width // 2, device=mask.device)
    angles = place[..., None] * rates
    return torch.cat((angles.sin(), angles.cos()), -1)


def first_logits(when: Tensor, pairs: Tensor) -> Tensor:
    """when (B, K), pairs int (B, P, 2) -> (B, P), above 0 if the first of a pair happens first."""
    early, late = when.gather(1, pairs[..., 0]), when.gather(1, pairs[..., 1])
    return late - early


def order_loss(
    model: nn.Module, batch: dict, generator: torch.Generator | None = None, find: float = 1.0
) -> tuple[Tensor, dict]:
    """Cross-entropy of the pairs, averaged over videos, plus `find` times a loss for finding each class in the windows
    where it happens. For a pooled head the second term is the cross-entropy of whether the class happens once.

    batch: features, mask, pairs (B, P, 2), first bool (B, P), asked bool (B, P), and shown int (B, T), the class of
    each window that happens once, or -1. -> (loss, numbers to log).
    """
    when, found = model.look(batch["features"], batch["mask"])
    logits = first_logits(when, batch["pairs"])
    each = F.binary_cross_entropy_with_logits(logits, batch["first"].float(), reduction="none")
    order, right = _mean(each, batch["asked"]), _mean(((logits > 0) == batch["first"]).float(), batch["asked"])
    numbers = {"order": order.detach(), "accuracy": right}
    if not find:
        return order, numbers
    inside = batch["shown"][:, None] == torch.arange(found.shape[1], device=found.device)[:, None]
    happens = inside.any(-1)
    if model.pool:
        missed = F.binary_cross_entropy_with_logits(found, happens.float())
        return order + find * missed, numbers | {"missed": missed.detach()}
    missed = _mean(-found.masked_fill(~inside & happens[..., None], float("-inf")).logsumexp(-1), happens)
    return order + find * missed, numbers | {"missed": missed.detach()}


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean over rows of the mean of the counted values in each row, (B, P)."""
    share = counted.float() / counted.sum(1, keepdim=True).clamp(min=1)
    return (values * share).sum(1).mean()
