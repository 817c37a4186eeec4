"""The mutual information that a contrastive batch can show (arXiv 1807.03748)."""

from __future__ import annotations

import math

import torch


def gained(n: int, correlation: float, draws: int, seed: int, dimensions: int = 8) -> float:
    """log n - loss in nats, for the optimal similarity of two correlated normal vectors; mean over batches of n
    pairs.
    """
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, draws // n, n, dimensions, generator=generator)
    y = correlation * x + math.sqrt(1 - correlation**2) * noise
    lengths = x.square().sum(-1)[:, :, None] + y.square().sum(-1)[:, None, :]
    score = (correlation * x @ y.mT - correlation**2 * lengths / 2) / (1 - correlation**2)
    diagonal = score.diagonal(dim1=1, dim2=2)
    loss = score.logsumexp(2) + score.logsumexp(1) - 2 * diagonal
    return math.log(n) - loss.mean().item() / 2


def mutual_information(correlation: float, dimensions: int = 8) -> float:
    """Mutual information of the two vectors of `gained`, in nats."""
    return -dimensions / 2 * math.log(1 - correlation**2)
