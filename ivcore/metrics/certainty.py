"""Standard error of a mean over clips, and of a difference between two models on the same clips, when clips are not all
independent.

    right_a, right_b = right(scores_a, labels), right(scores_b, labels)     # one number a clip, `metrics.recognition.right`
    standard_error(right_a, groups)
    paired(right_a, right_b, groups).sign_test

groups are int (N,): clips of one scene or one film have the same number, see `data.groups`. If a scene is shown
forwards and backwards, a model is mostly right or wrong on both, so treating its clips as independent makes errors too
small. Without groups every clip is its own group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ivcore.errors import ParameterError


def standard_error(values: Tensor, groups: Tensor | None = None) -> float:
    """Standard error of the mean of values (N,), robust to dependence within groups (Liang and Zeger 1986); nan for a
    single group.

    sqrt(G/(G-1) * sum over the G groups of (summed deviations)²) / N. Without groups this is the standard deviation
    over sqrt(N).
    """
    values, groups = _checked(values, groups)
    sums = _summed(values - values.mean(), groups)
    number = len(sums)
    if number < 2:
        return math.nan
    return math.sqrt(number / (number - 1) * sums.square().sum().item()) / len(values)


def error_metric(name: str, values: Tensor, groups: Tensor | None = None) -> dict[str, float]:
    """{name_error: standard_error(values, groups)} for a run's metrics.json; {} for a single group, which has no
    standard error.
    """
    error = standard_error(values, groups)
    return {} if math.isnan(error) else {f"{name}_error": error}


@dataclass(frozen=True)
class Paired:
    """b against a on the same clips: the difference of means, its standard error, and the numbers of groups in which b
    is ahead or behind.
    """

    difference: float
    error: float
    ahead: int
    behind: int

    @property
    def sign_test(self) -> float:
        """Two-sided exact sign test: the probability that fair coins fall at least as unevenly over the groups in which
        the two differ. It is McNemar's test if every clip is a group. 1 if there are no such groups.
        """
        apart, fewer = self.ahead + self.behind, min(self.ahead, self.behind)
        return min(1.0, 2 * sum(math.comb(apart, k) for k in range(fewer + 1)) / 2**apart)


def paired(a: Tensor, b: Tensor, groups: Tensor | None = None) -> Paired:
    """Compares values (N,) of two models on the same clips, such as 1 for right and 0 for wrong. ParameterError for
    sizes that do not fit.
    """
    if a.shape != b.shape:
        raise ParameterError(f"a {tuple(a.shape)} and b {tuple(b.shape)}: expected (N,) twice")
    values, groups = _checked(b.double() - a.double(), groups)
    sums = _summed(values, groups)
    ahead, behind = int((sums > 0).sum()), int((sums < 0).sum())
    return Paired(values.mean().item(), standard_error(values, groups), ahead, behind)


def _checked(values: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor]:
    groups = torch.arange(len(values)) if groups is None else groups.cpu()
    if values.dim() != 1 or groups.shape != values.shape or not len(values):
        shapes = f"values {tuple(values.shape)} and groups {tuple(groups.shape)}"
        raise ParameterError(f"{shapes}: expected (N,) of each, N > 0")
    return values.detach().cpu().double(), groups


def _summed(values: Tensor, groups: Tensor) -> Tensor:
    """float64 (G,): the sum of the values of each group."""
    _, place = groups.unique(return_inverse=True)
    return torch.zeros(int(place.max()) + 1, dtype=torch.float64).index_add_(0, place, values)
