"""Multiple choice: how often the right sentence of several scores highest (paper 4.3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from ivcore.errors import ParameterError


def chosen_right(scores: Tensor, answers: Tensor) -> Tensor:
    """scores (N, K), -inf past a question's last option; answers int64 (N,) -> float64 (N,), in [0, 1].

    1 if the right option alone scores highest, 0 if another scores higher; 1/m if it is one of m options with the
    highest score. ParameterError for sizes that do not fit, and for scores that are nan.
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
    """The accuracy of guessing. options: number of options of each question, (N,)."""
    return (1 / options.double()).mean().item()
