"""Predicts positions from the token map, each as a starting point and a displacement (Ego4D's future hand prediction).

A mean token knows little about positions. Here every point attends to the tokens and starts at the mean of their
positions, weighted by its attention: the soft-argmax of integral pose regression (arXiv 1711.08229). A linear layer on
the attended tokens gives the displacement.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.heads.boxes import BoxClassifier


class KeypointRegressor(BoxClassifier):
    """`m(video (B, 3, T, H, W))` gives (B, 2 * points): x and y of each point as shares of the picture, relative to its
    centre.

    encoder: as in `BoxClassifier`; its last layer is not used.
    """

    def __init__(self, encoder, points: int, dropout: float = 0.0):
        super().__init__(encoder)
        self.points = points
        width = len(encoder.class_embedding) if isinstance(encoder, UniFormerV2) else encoder.size.width
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.attention = nn.Linear(width, points)
        self.way = nn.Parameter(torch.zeros(points, 2, width))

    def forward(self, video: Tensor) -> Tensor:
        tokens = self.norm(self.tokens(video))
        _, time, height, width, _ = tokens.shape
        down, right = (torch.arange(n, device=tokens.device) / n + 0.5 / n - 0.5 for n in (height, width))
        places = torch.stack(torch.meshgrid(right, down, indexing="xy"), -1).expand(time, -1, -1, -1)
        share = self.attention(tokens).flatten(1, 3).softmax(1)
        begun = torch.einsum("bnp,nc->bpc", share, places.flatten(0, 2).to(share))
        seen = self.dropout(torch.einsum("bnp,bnd->bpd", share, tokens.flatten(1, 3)))
        return (begun + torch.einsum("bpd,pcd->bpc", seen, self.way)).flatten(1)
