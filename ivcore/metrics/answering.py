"""Question answering: how often the likeliest answer is the right one, with questions whose answer is unknown and without them (paper 4.3.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from ivcore.errors import ParameterError

UNKNOWN = -100  # the label of an answer that is not in the vocabulary


def accuracies(guesses: Tensor, labels: Tensor) -> dict[str, float]:
    """guesses, labels int64 (N,), labels UNKNOWN where the vocabulary lacks the answer -> accuracy, over all questions, where such a question is wrong
    whatever is said; accuracy_answerable, without them, as the released code counts; answerable, their share. 0 where nothing is answerable.

    ParameterError for sizes that do not fit.
    """
    if guesses.dim() != 1 or guesses.shape != labels.shape or not len(labels):
        raise ParameterError(f"guesses {tuple(guesses.shape)} and labels {tuple(labels.shape)}: expected (N,) each")
    known = labels != UNKNOWN
    right = ((guesses == labels) & known).sum().item()
    return {
        "accuracy": right / len(labels),
        "accuracy_answerable": right / max(int(known.sum()), 1),
        "answerable": known.float().mean().item(),
    }


def by_kind(guesses: Tensor, labels: Tensor, kinds: Sequence[str]) -> dict[str, float]:
    """kind -> accuracy over all of its questions, the kinds in the order of their names."""
    rows = {kind: [row for row, each in enumerate(kinds) if each == kind] for kind in sorted(set(kinds))}
    return {kind: accuracies(guesses[some], labels[some])["accuracy"] for kind, some in rows.items()}


def most_frequent(labels: Sequence[int], kinds: Sequence[str], asked: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Guesses int64 (N,) for questions of the kinds `asked` that know training labels and kinds alone: the most frequent answer of all, and of each kind."""
    overall = _mode(labels)
    of = {kind: _mode([label for label, each in zip(labels, kinds) if each == kind]) for kind in set(kinds)}
    return torch.full((len(asked),), overall), torch.tensor([of.get(kind, overall) for kind in asked])


def _mode(labels: Sequence[int]) -> int:
    counted = Counter(label for label in labels if label != UNKNOWN)
    return min(counted, key=lambda label: (-counted[label], label), default=UNKNOWN)
