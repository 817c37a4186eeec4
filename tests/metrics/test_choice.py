"""Multiple choice: the right option alone, another one, ties, and questions of fewer options."""

import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.metrics.choice import chance, chosen_right

INF = torch.inf


def test_right_wrong_and_tied():
    scores = torch.tensor([[3.0, 1, 2], [3.0, 1, 2], [2.0, 2, 1], [1.0, 1, 1], [0.0, 1, -INF]])
    right = chosen_right(scores, torch.tensor([0, 1, 1, 2, 1]))
    assert right.tolist() == pytest.approx([1, 0, 1 / 2, 1 / 3, 1])


def test_scores_that_know_nothing_give_chance():
    scores = torch.tensor([[1.0, 1, 1, 1, 1], [1.0, 1, -INF, -INF, -INF]])
    right = chosen_right(scores, torch.tensor([4, 0])).mean().item()
    assert right == pytest.approx(chance(scores.isfinite().sum(1))) == pytest.approx(0.35)


@pytest.mark.parametrize(
    "scores, answers, said",
    [
        (torch.ones(2, 3), torch.zeros(3, dtype=torch.long), r"scores \(2, 3\) and answers \(3,\)"),
        (torch.ones(3), torch.zeros(3, dtype=torch.long), r"expected \(N, K\)"),
        (torch.full((1, 2), torch.nan), torch.zeros(1, dtype=torch.long), "2 of them are not numbers"),
    ],
)
def test_what_does_not_fit_is_said(scores, answers, said):
    with pytest.raises(ParameterError, match=said):
        chosen_right(scores, answers)
