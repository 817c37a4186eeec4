"""Two measures of frozen features: a k-nearest-neighbour vote and a linear probe. Neither changes the encoder.

Features are float (N, D). Both measures first standardise every dimension with the training features' mean and
deviation: in masked encoders a few dimensions are hundreds of times larger than the rest and would dominate.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def standardise(train: Tensor, *others: Tensor) -> list[Tensor]:
    """Zero mean and unit deviation on `train`; the others get the same shift and scale."""
    mean, deviation = train.mean(0), train.std(0, correction=min(1, len(train) - 1)).clamp_min(1e-6)
    return [(features - mean) / deviation for features in (train, *others)]


def nearest_neighbours(
    train: Tensor, labels: Tensor, queries: Tensor, k: int = 20, temperature: float = 0.1, chunk: int = 4096,
    num_classes: int | None = None,
) -> Tensor:  # fmt: skip
    """Scores (Q, K): the k most similar training clips vote for their class with weight exp(cosine / temperature). K is
    num_classes, or the largest label + 1.

    Compares `chunk` queries at a time; all at once would take Q x N numbers.
    """
    train, queries = (F.normalize(x, dim=1) for x in standardise(train, queries))
    scores = torch.zeros(len(queries), num_classes or int(labels.max()) + 1)
    for batch, votes in zip(queries.split(chunk), scores.split(chunk)):
        similarity, nearest = (batch @ train.T).topk(min(k, len(train)), dim=1)
        votes.scatter_add_(1, labels[nearest], (similarity / temperature).exp())
    return scores


def linear_probe(train: Tensor, labels: Tensor, queries: Tensor, *, num_classes: int | None = None, **how) -> Tensor:
    """Logits (Q, K) of a linear layer trained on frozen features, see `trained_layer`. K is num_classes, or the largest
    label + 1.
    """
    train, queries = standardise(train, queries)
    layer = trained_layer(train, labels, num_classes or int(labels.max()) + 1, **how)
    with torch.no_grad():
        return layer(queries)


def trained_layer(train: Tensor, labels: Tensor, num_classes: int, *, lr: float = 1e-2, **how) -> nn.Linear:
    """A linear layer that starts at zero, trained on features (N, D); how: arguments of `train_head`."""
    layer = nn.Linear(train.shape[1], num_classes)
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    train_head(layer, train, labels, lr=lr, **how)
    return layer


@torch.enable_grad()
def train_head(head: nn.Module, train: Tensor, labels: Tensor, *, lr: float, steps: int = 500, weight_decay: float = 0.05,
               batch_size: int = 1024, seed: int = 0) -> None:  # fmt: skip
    """Trains the head on features (N, D) and labels int64 (N,) with AdamW and a cosine schedule, even if the caller has
    switched gradients off. Only matrices have weight decay, as in `train`.
    """
    generator = torch.Generator().manual_seed(seed)
    groups = {True: [], False: []}
    for weight in head.parameters():
        groups[weight.dim() > 1].append(weight)
    decays = [{"params": some, "weight_decay": weight_decay * matrices} for matrices, some in groups.items()]
    optimiser = torch.optim.AdamW(decays, lr)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = lr * (1 + math.cos(math.pi * step / steps)) / 2
        rows = torch.randperm(len(train), generator=generator)[:batch_size]
        loss = F.cross_entropy(head(train[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def probed(train: Tensor, labels: Tensor, queries: Tensor, truth: Tensor) -> dict[str, float]:
    """knn_top1 and probe_top1 of `queries` (Q, D) with labels `truth` (Q,), from the training features (N, D) and their
    labels (N,).

    Labels may be any whole numbers: only those that occur count, and a query of a class that `labels` lack counts as
    wrong. {} if the training features have fewer than two classes.
    """
    rows = torch.cat([labels, truth]).unique(return_inverse=True)[1]
    train_labels, query_labels = rows[: len(labels)], rows[len(labels) :]
    if len(train_labels.unique()) < 2:
        return {}
    scores = {"knn_top1": nearest_neighbours, "probe_top1": linear_probe}
    best = {
        n: score(train, train_labels, queries).argsort(dim=1, descending=True, stable=True)[:, 0]
        for n, score in scores.items()
    }
    return {name: (guess == query_labels).double().mean().item() for name, guess in best.items()}
