"""Multiple choice: how often the right one of several sentences scores highest (paper 4.3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from ivcore.errors import ParameterError


def chosen_right(scores: Tensor, answers: Tensor) -> Tensor:
    """scores (N, K), -inf where a question has fewer options; answers int64 (N,) -> float64 (N,), in [0, 1].

    1 where the right option alone scores highest, 0 where another scores higher; of m options with the highest score, the right one among them, 1/m.
    ParameterError for sizes that do not fit, and for scores that are not numbers.
    """
    if scores.dim() != 2 or answers.shape != scores.shape[:1] or not len(scores):
        raise ParameterError(
            f"scores {tuple(scores.shape)} and answers {tuple(answers.shape)}: expected (N, K) and (N,)"
        )
    if scores.isnan().any():
        raise ParameterError(f"scores: {int(scores.isnan().sum())} of them are not numbers")
    right = scores.gather(1, answers[:, None])
    return torch.where((scores > right).any(1), 0.0, 1 / (scores == right).sum(1).double())


def chance(options: Tensor) -> float:
    """The accuracy of guessing. options: how many each question has, (N,)."""
    return (1 / options.double()).mean().item()
