"""What frozen features tell: a k-nearest-neighbour vote and a linear probe. Neither changes the encoder.

Features are float (N, D). Both first standardise every dimension with the training features' mean and deviation: masked
encoders keep a few dimensions hundreds of times larger than the rest, which would drown what the others know.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def standardise(train: Tensor, *others: Tensor) -> list[Tensor]:
    """Zero mean and unit deviation on `train`; the same shift and scale for the others."""
    mean, deviation = train.mean(0), train.std(0).clamp_min(1e-6)
    return [(features - mean) / deviation for features in (train, *others)]


def nearest_neighbours(
    train: Tensor, labels: Tensor, queries: Tensor, k: int = 20, temperature: float = 0.1
) -> Tensor:
    """Scores (Q, K): the k most similar training clips vote for their class with weight exp(cosine / temperature)."""
    train, queries = (F.normalize(x, dim=1) for x in standardise(train, queries))
    similarity, found = (queries @ train.T).topk(min(k, len(train)), dim=1)
    votes = (similarity / temperature).exp()
    return torch.zeros(len(queries), int(labels.max()) + 1).scatter_add_(1, labels[found], votes)


def linear_probe(train: Tensor, labels: Tensor, queries: Tensor, *, steps: int = 500, lr: float = 1e-2,
                 weight_decay: float = 0.05, batch_size: int = 1024, seed: int = 0) -> Tensor:  # fmt: skip
    """Logits (Q, K) of a linear layer trained on frozen features with AdamW and a cosine schedule."""
    train, queries = standardise(train, queries)
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(train.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    optimiser = torch.optim.AdamW(layer.parameters(), lr, weight_decay=weight_decay)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / steps)) / 2
        rows = torch.randperm(len(train), generator=generator)[:batch_size]
        loss = F.cross_entropy(layer(train[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return layer(queries)
