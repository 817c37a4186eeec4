"""Action recognition: top-k accuracy, mean class accuracy, confusion, and the merging of views (paper 4.3.1).

Scores are float (N, K), any monotone score; labels int (N,).
"""

import torch
from torch import Tensor

from ivcore.errors import ParameterError


def merge_views(logits: Tensor) -> Tensor:
    """(N, V, K) logits of V views of each clip -> (N, K) probabilities: softmax in each view, then the mean over views.

    This is the published order (VideoMAE); the softmax of the mean logit is another, sharper distribution.
    """
    return logits.softmax(-1).mean(1)


def top_k(scores: Tensor, labels: Tensor, k: int = 1) -> float:
    """Share of clips whose label is among the k best scores (k is cut to the number of classes). Of equal scores the first wins."""
    _check(scores, labels)
    best = scores.argsort(dim=-1, descending=True, stable=True)[:, :k]
    return (best == labels[:, None]).any(1).double().mean().item()


def confusion(scores: Tensor, labels: Tensor) -> Tensor:
    """int64 (K, K): rows the true class, columns the best score."""
    _check(scores, labels)
    classes = scores.shape[1]
    cells = labels * classes + scores.argmax(-1)
    return torch.bincount(cells, minlength=classes**2).view(classes, classes)


def mean_class_accuracy(scores: Tensor, labels: Tensor) -> float:
    """Mean over the classes that occur of the share of their clips that is right."""
    table = confusion(scores, labels).double()
    seen = table.sum(1) > 0
    return (table.diag()[seen] / table.sum(1)[seen]).mean().item()


def pair_accuracy(scores: Tensor, labels: Tensor, pairs: list[tuple[int, int]]) -> float:
    """Of the clips of either class of a pair: how often the right one of the two scores higher. A tie counts one half; chance is 0.5."""
    _check(scores, labels)
    outcomes = [_side(scores, labels, a, b) for a, b in pairs] + [
        _side(scores, labels, b, a) for a, b in pairs
    ]
    outcomes = torch.cat(outcomes)
    if not len(outcomes):
        raise ParameterError("pairs: no clip belongs to any of them")
    return outcomes.mean().item()


def _side(scores: Tensor, labels: Tensor, true: int, other: int) -> Tensor:
    margin = (scores[:, true] - scores[:, other])[labels == true]
    return (margin.sign().double() + 1) / 2


def _check(scores: Tensor, labels: Tensor) -> None:
    if scores.dim() != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ParameterError(
            f"scores {tuple(scores.shape)} and labels {tuple(labels.shape)}: expected (N, K) and (N,), N > 0"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= scores.shape[1]:
        raise ParameterError(f"labels: {low} to {high} do not fit {scores.shape[1]} classes")
