"""Ensembles: weighted averages of several models' scores, which is what InternVideo-D and -T are (paper Table 2 and its caption).

Scores are probabilities (N, K), softmaxed and merged over views, so that models with logits of different size count alike. The
learnable combination inside the coordinated model is another thing; see `cma.py`.
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
    """Models' scores (N, K) each -> their weighted average (N, K). weights: one a model, not negative, of any sum; None for equal."""
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
    """Weights that did best on a validation split, and the clips of that split, which they refuse to be tested on.

    top1: of the best weights on that split; tried: every (weights, top-1) of the grid.
    """

    weights: tuple[float, ...]
    top1: float
    clips: frozenset[str]
    tried: list[tuple[tuple[float, ...], float]]

    def apply(self, test: Sequence[ClipScores]) -> ClipScores:
        """The ensemble on a test split. ParameterError where it shares a clip with the split that chose the weights."""
        test = align(test)
        shared = self.clips.intersection(test[0].clips)
        if shared:
            raise ParameterError(
                f"test: {len(shared)} of its clips chose these weights, e.g. {min(shared)}; take another split"
            )
        scores = ensemble([model.scores for model in test], self.weights)
        return ClipScores(test[0].clips, test[0].labels, scores)


def choose_weights(validation: Sequence[ClipScores], steps: int = 20) -> ChosenWeights:
    """Tries all weights in steps of 1/steps that sum to 1; the best top-1 wins, of equals the ones nearest to equal weights.

    validation: each model's scores on clips that are neither trained nor tested on.
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
    """All ways to write `total` as an ordered sum of `parts` whole numbers from 0."""
    for bars in itertools.combinations(range(total + parts - 1), parts - 1):
        edges = (-1, *bars, total + parts - 1)
        yield tuple(right - left - 1 for left, right in itertools.pairwise(edges))


def _unevenness(weights: tuple[float, ...]) -> float:
    return sum((weight - 1 / len(weights)) ** 2 for weight in weights)
