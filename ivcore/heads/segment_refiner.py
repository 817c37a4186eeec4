"""Refines the ends of proposed segments in several stages, from features inside and just outside them: a short version
of TCANet (arXiv 2103.13141).

Its code was never released. This version keeps two ideas: every moment first gets context from attention over its
neighbours and over the whole video; then each stage moves the segment and estimates how well it fits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.heads.actionformer.layers import Attention, ChannelNorm

AROUND = 0.5  # share of a segment's length that is sampled before and after it
FITS = 0.3  # minimum tIoU at which a segment learns its move
SHIFT, STRETCH = (
    0.3,
    0.4,
)  # spread of training segments: of the middle, as a share of the length, and of the logarithm of the length


class SegmentRefiner(nn.Module):
    """Features (T, C) and segments (N, 2) in steps -> for each stage (segments (N, 2), logits (N,) of how well they
    fit).
    """

    def __init__(self, channels: int, *, width: int = 64, heads: int = 4, window: int = 9, places: int = 16, stages: int = 3):  # fmt: skip
        super().__init__()
        self.places = places
        self.embed = nn.Conv1d(channels, width, 1)
        self.norm = ChannelNorm(width)
        self.near, self.far = Attention(width, heads, 1, window), Attention(width, heads, 1, -1)
        self.stages = nn.ModuleList(_regressor(width * places, 2 * width) for _ in range(stages))

    def forward(self, features: Tensor, segments: Tensor) -> list[tuple[Tensor, Tensor]]:
        x = self.embed(features.T[None])
        seen, mask = self.norm(x), torch.ones_like(x[:, :1], dtype=torch.bool)
        x = (x + self.near(seen, mask)[0] + self.far(seen, mask)[0])[0]
        found = []
        for stage in self.stages:
            length = (segments[:, 1:] - segments[:, :1]).clamp_min(0.1)
            move, fit = stage(self._sampled(x, segments, length)).split((2, 1), 1)
            segments = (segments + move * length).sort(1).values
            found.append((segments, fit[:, 0]))
            segments = segments.detach()
        return found

    def _sampled(self, x: Tensor, segments: Tensor, length: Tensor) -> Tensor:
        """x (C, T) at `places` moments from AROUND before each segment to AROUND after it -> (N, C * places)."""
        share = torch.linspace(-AROUND, 1 + AROUND, self.places, device=x.device)
        at = (segments[:, :1] + share * length).clamp(0, x.shape[1] - 1)
        low = at.floor().long()
        high, part = (low + 1).clamp(max=x.shape[1] - 1), at - low
        return (x[:, low] * (1 - part) + x[:, high] * part).transpose(0, 1).flatten(1)


def _regressor(inputs: int, width: int) -> nn.Module:
    """A network for the move of both ends, as shares of the length, and the fit of the moved segment."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 3))


def refiner_loss(model: SegmentRefiner, batch: list[dict], generator=None, copies: int = 8) -> tuple[Tensor, dict]:
    """Loss of a batch of dict(features (T, C), segments (n, 2)): true segments are moved and stretched at random, and
    the model moves them back.

    -> (scalar, {move_loss, fit_loss}). At each stage the move is learned for segments that overlap their event by FITS,
    and the overlap after the move for all.
    """
    device = next(model.parameters()).device
    moves, fits = [model.embed.weight.sum() * 0], [model.embed.weight.sum() * 0]
    for item in batch:
        if not len(item["segments"]):
            continue
        true = item["segments"].float().repeat(copies, 1)
        segments = jittered(true, generator).to(device)
        true = true.to(device)
        for moved, fit in model(item["features"].to(device), segments):
            length, near = (true[:, 1:] - true[:, :1]).clamp_min(0.1), overlap(segments, true) >= FITS
            moves.append((F.smooth_l1_loss(moved / length, true / length, reduction="none").sum(1) * near).mean())
            fits.append(F.binary_cross_entropy_with_logits(fit, overlap(moved.detach(), true)))
            segments = moved.detach()
    move, fit = torch.stack(moves).sum() / len(batch), torch.stack(fits).sum() / len(batch)
    return move + fit, {"move_loss": move.detach(), "fit_loss": fit.detach()}


def jittered(segments: Tensor, generator=None) -> Tensor:
    """Segments (N, 2) with randomly changed middles and lengths; about every fourth is moved far away."""
    shift, stretch = torch.randn(2, len(segments), 1, generator=generator)
    length = segments[:, 1:] - segments[:, :1]
    far = 4 * (torch.rand(len(segments), 1, generator=generator) < 0.25)
    middle = segments.mean(1, keepdim=True) + shift * length * (SHIFT + far)
    half = 0.5 * length * (STRETCH * stretch).exp()
    return torch.cat((middle - half, middle + half), 1)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Temporal IoU of (N, 2) and (N, 2), row by row -> (N,)."""
    shared = (torch.minimum(a[:, 1], b[:, 1]) - torch.maximum(a[:, 0], b[:, 0])).clamp_min(0)
    return shared / ((a[:, 1] - a[:, 0]) + (b[:, 1] - b[:, 0]) - shared).clamp_min(1e-6)
