"""Accuracies against counting by hand, and how views are merged."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ivcore.errors import ParameterError
from ivcore.metrics.overlap import accuracy_of
from ivcore.metrics.recognition import confusion, mean_class_accuracy, merge_views, pair_accuracy, right, top_k

SCORES = torch.tensor([[3.0, 2, 1, 0], [0, 1, 2, 3], [1, 3, 2, 0], [0, 3, 1, 2]])
LABELS = torch.tensor([0, 2, 1, 3])


def test_top_k_counts():
    assert top_k(SCORES, LABELS) == 0.5
    assert top_k(SCORES, LABELS, 2) == 1.0
    assert top_k(SCORES, LABELS, 99) == 1.0


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 0, 0], [3, 3, 3, 3]])
def test_equal_scores_are_right_by_chance_however_labels_are_numbered(labels):
    labels = torch.tensor(labels)
    for k in (1, 2, 3, 4):
        assert top_k(torch.ones(4, 4), labels, k) == pytest.approx(k / 4)
    assert mean_class_accuracy(torch.zeros(4, 4), labels) == accuracy_of(torch.zeros(4, 4), labels, range(4)) == 0.25


def test_a_tie_for_the_last_place_counts_in_part():
    scores = torch.tensor([[5.0, 1, 1, 0], [5, 1, 1, 0], [5, 1, 1, 0], [5, 1, 1, 0]])
    assert right(scores, torch.tensor([0, 1, 2, 3])).tolist() == [1, 0, 0, 0]
    assert right(scores, torch.tensor([0, 1, 2, 3]), 2).tolist() == [1, 0.5, 0.5, 0]
    assert right(scores, torch.tensor([0, 1, 2, 3]), 3).tolist() == [1, 1, 1, 0]


def test_a_vote_that_no_neighbour_cast_is_no_hit_of_the_first_classes():
    """Two classes have votes, the other eight none: of those any three are among the best five."""
    votes = torch.zeros(1, 10)
    votes[0, 8:] = torch.tensor([2.0, 1.0])
    assert [top_k(votes, torch.tensor([label]), 5) for label in (0, 7, 8, 9)] == [3 / 8, 3 / 8, 1, 1]


def test_classes_that_do_not_occur_are_in_no_mean():
    scores, labels = torch.eye(6)[[1, 1, 4]], torch.tensor([1, 4, 4])
    assert mean_class_accuracy(scores, labels) == pytest.approx((1 + 0.5) / 2)


def test_scores_that_are_no_numbers_are_refused():
    scores = SCORES.clone()
    scores[1, 2] = torch.nan
    for measure in (top_k, mean_class_accuracy, confusion):
        with pytest.raises(ParameterError, match="scores: 1 of 4 clips"):
            measure(scores, LABELS)


def test_confusion_rows_are_the_truth():
    table = confusion(SCORES, LABELS)
    assert table.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]


def test_mean_class_accuracy_weighs_classes_not_clips():
    scores = torch.eye(3)[[0, 0, 0, 0]]
    assert mean_class_accuracy(scores, torch.tensor([0, 0, 0, 1])) == 0.5
    assert top_k(scores, torch.tensor([0, 0, 0, 1])) == 0.75


def test_views_are_averaged_after_the_softmax():
    logits = torch.tensor([[[10.0, 0], [0, 1]]])
    merged = merge_views(logits)
    assert torch.allclose(merged, (logits[:, 0].softmax(-1) + logits[:, 1].softmax(-1)) / 2)
    assert not torch.allclose(merged, logits.mean(1).softmax(-1), atol=0.05)
    same = torch.randn(5, 1, 7).expand(-1, 15, -1)
    assert torch.allclose(merge_views(same), same[:, 0].softmax(-1), atol=1e-6)


def test_pairs_ignore_the_other_classes():
    scores = torch.tensor([[0.0, 1, 9], [1, 0, 9], [5, 5, 0], [0, 0, 1]])
    assert pair_accuracy(scores, torch.tensor([1, 0, 0, 2]), [(0, 1)]) == pytest.approx((1 + 1 + 0.5) / 3)
    with pytest.raises(ParameterError, match="no clip belongs"):
        pair_accuracy(scores, torch.tensor([2, 2, 2, 2]), [(0, 1)])


@given(st.integers(1, 30), st.integers(2, 8), st.integers(0, 2**31))
def test_accuracies_agree_with_the_confusion_matrix(n, k, seed):
    generator = torch.Generator().manual_seed(seed)
    scores, labels = torch.randn(n, k, generator=generator), torch.randint(k, (n,), generator=generator)
    table = confusion(scores, labels)
    assert table.sum() == n
    assert top_k(scores, labels) == pytest.approx(table.diag().sum().item() / n)
    assert top_k(scores, labels, k) == 1.0


def test_labels_that_do_not_fit_are_named():
    with pytest.raises(ParameterError, match="0 to 4 do not fit 4 classes"):
        top_k(SCORES, torch.tensor([0, 1, 2, 4]))
    with pytest.raises(ParameterError, match="expected"):
        top_k(SCORES, torch.tensor([0, 1]))
