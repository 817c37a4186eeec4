"""Question answering accuracy, with and without questions whose answer is not in the vocabulary (paper 4.3.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from ivcore.errors import ParameterError

UNKNOWN = -100  # the label of an answer that is not in the vocabulary


def accuracies(guesses: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracies of guesses int64 (N,) against labels int64 (N,), which are UNKNOWN if the vocabulary lacks the answer.

    -> accuracy over all questions, where an UNKNOWN one always counts as wrong; accuracy_answerable, without those, as
    in the released code; answerable, the share of questions with a known answer. All are 0 if no answer is known.
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
    """kind -> accuracy over all questions of that kind; kinds are sorted by name."""
    rows = {kind: [row for row, each in enumerate(kinds) if each == kind] for kind in sorted(set(kinds))}
    return {kind: accuracies(guesses[some], labels[some])["accuracy"] for kind, some in rows.items()}


def most_frequent(labels: Sequence[int], kinds: Sequence[str], asked: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Two baselines from training labels and kinds alone, int64 (N,) for questions of the kinds `asked`: the overall
    most frequent answer, and that of each kind.
    """
    overall = _mode(labels)
    of = {kind: _mode([label for label, each in zip(labels, kinds) if each == kind]) for kind in set(kinds)}
    return torch.full((len(asked),), overall), torch.tensor([of.get(kind, overall) for kind in asked])


def _mode(labels: Sequence[int]) -> int:
    counted = Counter(label for label in labels if label != UNKNOWN)
    return min(counted, key=lambda label: (-counted[label], label), default=UNKNOWN)
