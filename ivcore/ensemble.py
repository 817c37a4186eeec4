"""Ensembles: weighted averages of several models' scores, such as InternVideo-D and -T (paper Table 2, caption).

Scores are probabilities (N, K), after softmax and merged over views, so the scale of a model's logits does not matter.
The learnable fusion of the coordinated model is in `cma.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ivcore.errors import ParameterError
from ivcore.metrics.view_scores import ClipScores, align

MOST_TRIES = 20_000


def ensemble(models: Sequence[Tensor], weights: Sequence[float] | None = None) -> Tensor:
    """Scores (N, K) per model -> weighted average (N, K). weights: one per model, >= 0, normalised here; None: equal.

    Errors: ParameterError for scores of different shapes, and for wrong weights.
    """
    shapes = {tuple(scores.shape) for scores in models}
    if len(shapes) != 1:
        raise ParameterError(f"models: expected scores of one shape, got {sorted(shapes) or 'none'}")
    shares = _shares(weights, len(models))
    return sum(share * scores for share, scores in zip(shares, models))


def _shares(weights: Sequence[float] | None, models: int) -> list[float]:
    weights = [1.0] * models if weights is None else [float(weight) for weight in weights]
    if len(weights) != models or not all(weight >= 0 and math.isfinite(weight) for weight in weights):
        raise ParameterError(f"weights={weights}: expected {models} numbers, none negative")
    if not sum(weights):
        raise ParameterError(f"weights={weights}: one must be above 0")
    return [weight / sum(weights) for weight in weights]


@dataclass(frozen=True)
class ChosenWeights:
    """The best weights on a validation split, with the clips of that split; `apply` refuses to test on these clips.

    top1: accuracy of these weights on that split, in [0, 1]. tried: all (weights, top-1) of the grid.
    """

    weights: tuple[float, ...]
    top1: float
    clips: frozenset[str]
    tried: list[tuple[tuple[float, ...], float]]

    def apply(self, test: Sequence[ClipScores]) -> ClipScores:
        """The ensemble's scores on a test split. ParameterError if it shares a clip with the split of the choice."""
        test = align(test)
        shared = self.clips.intersection(test[0].clips)
        if shared:
            raise ParameterError(
                f"test: {len(shared)} of its clips chose these weights, e.g. {min(shared)}; take another split"
            )
        scores = ensemble([model.scores for model in test], self.weights)
        return ClipScores(test[0].clips, test[0].labels, scores)


def choose_weights(validation: Sequence[ClipScores], steps: int = 20) -> ChosenWeights:
    """Tries all weights that sum to 1, in steps of 1/steps. Picks the best top-1; ties go to the most equal weights.

    validation: scores of each model on clips that are used neither in training nor in testing.
    Errors: ParameterError for steps below 1 or more than MOST_TRIES combinations.
    """
    validation = align(validation)
    models = len(validation)
    if steps < 1 or math.comb(steps + models - 1, models - 1) > MOST_TRIES:
        raise ParameterError(f"steps={steps}: must be 1 or more, with at most {MOST_TRIES} weights to try")
    stacked = torch.stack([model.scores for model in validation])
    labels = validation[0].labels
    tried = []
    for parts in _compositions(steps, models):
        weights = tuple(part / steps for part in parts)
        mixed = torch.einsum("m, m n k -> n k", torch.tensor(weights, dtype=stacked.dtype), stacked)
        tried.append((weights, (mixed.argmax(-1) == labels).double().mean().item()))
    weights, top1 = max(tried, key=lambda one: (one[1], -_unevenness(one[0])))
    return ChosenWeights(weights, top1, frozenset(validation[0].clips), tried)


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of `parts` integers >= 0."""
    for bars in itertools.combinations(range(total + parts - 1), parts - 1):
        edges = (-1, *bars, total + parts - 1)
        yield tuple(right - left - 1 for left, right in itertools.pairwise(edges))


def _unevenness(weights: tuple[float, ...]) -> float:
    return sum((weight - 1 / len(weights)) ** 2 for weight in weights)
