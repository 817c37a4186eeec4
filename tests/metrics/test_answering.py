"""Question answering: answers outside the vocabulary counted and left out, kinds, and the most frequent answer, by hand."""

import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.metrics.answering import UNKNOWN, accuracies, by_kind, most_frequent

GUESSES, LABELS = torch.tensor([0, 1, 2, 0, 3]), torch.tensor([0, 1, 1, UNKNOWN, 3])
KINDS = ["what", "what", "who", "who", "how"]


def test_an_unknown_answer_is_wrong_or_left_out():
    found = accuracies(GUESSES, LABELS)
    assert found == pytest.approx({"accuracy": 3 / 5, "accuracy_answerable": 3 / 4, "answerable": 4 / 5})
    none = accuracies(torch.tensor([UNKNOWN]), torch.tensor([UNKNOWN]))
    assert none == {"accuracy": 0.0, "accuracy_answerable": 0.0, "answerable": 0.0}


def test_by_kind():
    assert by_kind(GUESSES, LABELS, KINDS) == {"how": 1.0, "what": 1.0, "who": 0.0}


def test_most_frequent_overall_and_of_each_kind():
    labels = [0, 1, 1, UNKNOWN, UNKNOWN, UNKNOWN, 2]
    kinds = ["what", "who", "who", "what", "what", "what", "how"]
    overall, own = most_frequent(labels, kinds, ["what", "who", "how", "when"])
    assert overall.tolist() == [1, 1, 1, 1] and own.tolist() == [0, 1, 2, 1]
    assert most_frequent([1, 0], ["a", "a"], ["a"])[0].tolist() == [0]  # of equals the first


def test_sizes_that_do_not_fit_are_said():
    with pytest.raises(ParameterError, match=r"guesses \(2,\) and labels \(3,\)"):
        accuracies(torch.zeros(2, dtype=torch.long), torch.zeros(3, dtype=torch.long))
