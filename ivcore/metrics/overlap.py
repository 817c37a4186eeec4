"""How far two models are right on the same clips, and which classes gain: the case for fusing them (paper 3.3, 4.2.3).

Scores are (N, K), labels int (N,); only the best class of each model counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ivcore.errors import ParameterError
from ivcore.metrics.recognition import confusion, top_k


@dataclass(frozen=True)
class ErrorOverlap:
    """Numbers of clips that both models, only the first, only the second or neither got right.

    same_mistake: clips that neither got right and for which both gave the same wrong answer.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    same_mistake: int

    @property
    def clips(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def top1_a(self) -> float:
        return (self.both + self.only_a) / self.clips

    @property
    def top1_b(self) -> float:
        return (self.both + self.only_b) / self.clips

    @property
    def oracle(self) -> float:
        """Top-1 of always picking the right one of the two answers: the upper bound of choosing between them."""
        return (self.clips - self.neither) / self.clips

    @property
    def disagreement(self) -> float:
        """Share of clips that exactly one of them got right."""
        return (self.only_a + self.only_b) / self.clips

    @property
    def kappa(self) -> float:
        """Cohen's kappa of being right: 1 for the same clips, 0 for the agreement of independent models with these
        accuracies, below 0 for less.

        nan if undefined: each model is always, or never, right.
        """
        chance = self.top1_a * self.top1_b + (1 - self.top1_a) * (1 - self.top1_b)
        return _ratio(1 - self.disagreement - chance, 1 - chance)

    @property
    def yule_q(self) -> float:
        """Yule's Q: -1 if never right together or never wrong together, 0 if independent, up to 1; nan if undefined."""
        together, apart = self.both * self.neither, self.only_a * self.only_b
        return _ratio(together - apart, together + apart)


def _ratio(over: float, under: float) -> float:
    return over / under if abs(under) > 1e-12 else math.nan


def error_overlap(scores_a: Tensor, scores_b: Tensor, labels: Tensor) -> ErrorOverlap:
    """Counts the clips by which of the two models got them right."""
    if scores_a.shape != scores_b.shape or labels.shape != scores_a.shape[:1] or not len(labels):
        shapes = tuple(scores_a.shape), tuple(scores_b.shape), tuple(labels.shape)
        raise ParameterError(f"scores {shapes[0]} and {shapes[1]}, labels {shapes[2]}: do not fit together")
    answer_a, answer_b = scores_a.argmax(-1), scores_b.argmax(-1)
    right_a, right_b = answer_a == labels, answer_b == labels
    only_a, only_b, neither = right_a & ~right_b, right_b & ~right_a, ~right_a & ~right_b
    cells = (right_a & right_b, only_a, only_b, neither, neither & (answer_a == answer_b))
    return ErrorOverlap(*(int(cell.sum()) for cell in cells))


@dataclass(frozen=True)
class ClassGain:
    """One class: its clips, the share of them that each model gets right, and the gain of the second over the first."""

    name: str
    clips: int
    accuracy_a: float
    accuracy_b: float

    @property
    def gain(self) -> float:
        return self.accuracy_b - self.accuracy_a


def class_gains(scores_a: Tensor, scores_b: Tensor, labels: Tensor, names: Sequence[str]) -> list[ClassGain]:
    """A row for every class that occurs, the greatest gain first (equal gains by name)."""
    if len(names) != scores_a.shape[-1] or scores_a.shape != scores_b.shape:
        shapes = tuple(scores_a.shape), tuple(scores_b.shape)
        raise ParameterError(f"names: {len(names)} do not fit scores {shapes[0]} and {shapes[1]}")
    tables = [confusion(scores, labels) for scores in (scores_a, scores_b)]
    clips = tables[0].sum(1)
    rows = []
    for row in clips.nonzero()[:, 0].tolist():
        right = [int(table[row, row]) / int(clips[row]) for table in tables]
        rows.append(ClassGain(names[row], int(clips[row]), *right))
    return sorted(rows, key=lambda gain: (-gain.gain, gain.name))


def accuracy_of(scores: Tensor, labels: Tensor, classes: Sequence[int]) -> float:
    """Top-1, among all classes, of the clips whose label is one of `classes`, such as the motion classes.
    ParameterError if there are none.
    """
    chosen = torch.isin(labels, torch.tensor(list(classes), dtype=labels.dtype, device=labels.device))
    if not chosen.any():
        raise ParameterError(f"classes: no clip belongs to any of the {len(classes)}")
    return top_k(scores[chosen], labels[chosen])


def occurring(kinds: Mapping[str, Sequence[int]], labels: Tensor) -> dict[str, list[int]]:
    """The named groups of classes that occur among the labels, as arguments for `accuracy_of`."""
    there = set(labels.tolist())
    return {name: list(classes) for name, classes in kinds.items() if there & set(classes)}
