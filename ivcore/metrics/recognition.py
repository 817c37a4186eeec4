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


def right(scores: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """Of every clip 1 where its label is among the k best scores, 0 where it is not, float64 (N,); k is cut to the number of classes.

    Of classes that score exactly the same any order is as likely: the label then counts with its chance to be among the k. So scores that
    are all equal are right by chance, never more, however labels are numbered.
    """
    _check(scores, labels)
    own = scores.gather(1, labels[:, None])
    above, equal = (scores > own).sum(1), (scores == own).sum(1)
    return ((k - above).double() / equal).clamp(0, 1).cpu()


def top_k(scores: Tensor, labels: Tensor, k: int = 1) -> float:
    """Share of clips whose label is among the k best scores, equal ones counted as in `right`."""
    return right(scores, labels, k).mean().item()


def confusion(scores: Tensor, labels: Tensor) -> Tensor:
    """int64 (K, K): rows the true class, columns the best score, of equal ones the first."""
    _check(scores, labels)
    classes = scores.shape[1]
    cells = labels * classes + scores.argmax(-1)
    return torch.bincount(cells, minlength=classes**2).view(classes, classes)


def confused(scores: Tensor, labels: Tensor) -> tuple[Tensor, list[int]]:
    """`confusion` of the classes that occur, as truth or as best score, and which these are: (R, R) and R class numbers in order."""
    best = scores.argmax(-1)
    rows, places = torch.cat([labels, best]).unique(return_inverse=True)
    truth, guess = places.split(len(labels))
    return torch.bincount(truth * len(rows) + guess, minlength=len(rows) ** 2).view(len(rows), -1), rows.tolist()


def occurring_pairs(pairs: list[tuple[int, int]], labels: Tensor) -> list[tuple[int, int]]:
    """The pairs that a clip belongs to: what `pair_accuracy` can be asked about."""
    there = set(labels.tolist())
    return [pair for pair in pairs if there & set(pair)]


def mean_class_accuracy(scores: Tensor, labels: Tensor) -> float:
    """Mean over the classes that occur of the share of their clips that is right."""
    hits, labels = right(scores, labels), labels.cpu()
    return torch.stack([hits[labels == label].mean() for label in labels.unique()]).mean().item()


def pair_accuracy(scores: Tensor, labels: Tensor, pairs: list[tuple[int, int]]) -> float:
    """Of the clips of either class of a pair: how often the right one of the two scores higher. A tie counts one half; chance is 0.5."""
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
