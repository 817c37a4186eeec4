"""Action recognition: top-k accuracy, mean class accuracy, confusion, and the merging of views (paper 4.3.1).

Scores are float (N, K) and may be on any monotone scale; labels are int (N,).
"""

import torch
from torch import Tensor

from ivcore.errors import ParameterError


def merge_views(logits: Tensor) -> Tensor:
    """(N, V, K) logits of V views of each clip -> (N, K) probabilities: softmax in each view, then the mean over views.

    This is the published order (VideoMAE); the softmax of the mean logit is another, sharper distribution.
    """
    return logits.softmax(-1).mean(1)


def right(scores: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """float64 (N,): 1 if the clip's label is among its k best scores, else 0; k is at most the number of classes.

    Among equal scores every order is equally likely, so the label counts with its probability of being among the k.
    Scores that are all equal therefore give chance level, whatever the numbering of labels.
    """
    _check(scores, labels)
    own = scores.gather(1, labels[:, None])
    above, equal = (scores > own).sum(1), (scores == own).sum(1)
    return ((k - above).double() / equal).clamp(0, 1).cpu()


def top_k(scores: Tensor, labels: Tensor, k: int = 1) -> float:
    """Share of clips whose label is among the k best scores; ties count as in `right`."""
    return right(scores, labels, k).mean().item()


def confusion(scores: Tensor, labels: Tensor) -> Tensor:
    """int64 (K, K): rows are true classes, columns the best-scored class, the first on a tie."""
    _check(scores, labels)
    classes = scores.shape[1]
    cells = labels * classes + scores.argmax(-1)
    return torch.bincount(cells, minlength=classes**2).view(classes, classes)


def confused(scores: Tensor, labels: Tensor) -> tuple[Tensor, list[int]]:
    """`confusion` of the classes that occur, as truth or as best score, and their numbers: (R, R) and R class numbers
    in order.
    """
    best = scores.argmax(-1)
    rows, places = torch.cat([labels, best]).unique(return_inverse=True)
    truth, guess = places.split(len(labels))
    return torch.bincount(truth * len(rows) + guess, minlength=len(rows) ** 2).view(len(rows), -1), rows.tolist()


def occurring_pairs(pairs: list[tuple[int, int]], labels: Tensor) -> list[tuple[int, int]]:
    """The pairs with a class that occurs among the labels, as arguments for `pair_accuracy`."""
    there = set(labels.tolist())
    return [pair for pair in pairs if there & set(pair)]


def mean_class_accuracy(scores: Tensor, labels: Tensor) -> float:
    """Top-1 within each class that occurs, averaged over these classes."""
    hits, labels = right(scores, labels), labels.cpu()
    return torch.stack([hits[labels == label].mean() for label in labels.unique()]).mean().item()


def pair_accuracy(scores: Tensor, labels: Tensor, pairs: list[tuple[int, int]]) -> float:
    """How often the right one of the two classes of a pair scores higher, over the clips of either class. A tie counts
    one half; chance is 0.5.
    """
    _check(scores, labels)
    outcomes = [_side(scores, labels, a, b) for a, b in pairs] + [_side(scores, labels, b, a) for a, b in pairs]
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
    if scores.isnan().any():
        raise ParameterError(
            f"scores: {int(scores.isnan().any(1).sum())} of {len(scores)} clips have some that are not numbers"
        )
