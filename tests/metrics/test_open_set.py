"""Open-set measures against the numbers of the published evaluators."""

import numpy as np
import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.metrics import open_set


@pytest.fixture
def case(golden):
    return golden("open_set.json")["open_set_evaluation"]


def uncertainties(case):
    return (torch.tensor(case[name], dtype=torch.float64) for name in ("ind_uncertainty", "ood_uncertainty"))


@pytest.mark.parametrize("name, threshold", [("threshold_-1", None), ("threshold_0.35", 0.35)])
def test_measures_equal_the_published_ones(case, name, threshold):
    known, unknown = uncertainties(case)
    expected = case["expected"][name]
    assert open_set.auroc(known, unknown, threshold) == pytest.approx(expected["auroc"], rel=1e-9)
    assert open_set.aupr(known, unknown, threshold) == pytest.approx(expected["aupr"], rel=1e-9)
    found = open_set.fpr_at_tpr(known, unknown, threshold=threshold, nearest=True)
    assert found == pytest.approx(expected["fpr_at_95_tpr"], rel=1e-9)


def test_at_a_threshold_the_auroc_is_the_mean_of_both_rates(case):
    known, unknown = uncertainties(case)
    rates = (known <= 0.35).double().mean() + (unknown > 0.35).double().mean()
    assert open_set.auroc(known, unknown, 0.35) == pytest.approx(rates.item() / 2)


def test_fpr_is_taken_where_enough_unknown_clips_are_found():
    known, unknown = torch.tensor([0.0, 0.2, 0.9]), torch.tensor([0.1, 0.5, 0.8, 1.0])
    assert open_set.fpr_at_tpr(known, unknown, 0.8) == pytest.approx(2 / 3)
    assert open_set.fpr_at_tpr(known, unknown, 0.8, nearest=True) == pytest.approx(1 / 3)


def test_the_openness_curve_equals_the_published_one(case):
    expected, (score, strange) = case["openness"], uncertainties(case)
    known = (score, torch.tensor(case["ind_pred"]), torch.tensor(case["ind_label"]))
    unknown = (strange, torch.tensor(case["ood_pred"]), torch.tensor(case["ood_label"]))
    draw, num_classes = np.random.RandomState(expected["numpy_seed"]), case["ind_ncls"]
    for number in range(case["ood_ncls"] + 1):
        draws = [[]]
        if number:
            draws = [draw.choice(case["ood_ncls"], number, replace=False).tolist() for _ in range(expected["num_rand"])]
        found = [open_set.open_f1(known, unknown, expected["threshold"], num_classes, classes) for classes in draws]
        assert 100 * np.mean(found) == pytest.approx(expected["macro_f1_percent"][number], rel=1e-6)
        openness = 100 * open_set.openness(num_classes, number)
        assert openness == pytest.approx(expected["openness_percent"][number])


def test_macro_f1_with_unknown_as_a_class_by_hand():
    """Answers 0, 1, unknown of labels 0, 0, 1, and unknown, 1 of two unknown clips: F1 of 2/3, 0 and 1/2."""
    known = torch.tensor([0.1, 0.2, 0.9]), torch.tensor([0, 1, 0]), torch.tensor([0, 0, 1])
    unknown = torch.tensor([0.8, 0.3]), torch.tensor([1, 1]), torch.tensor([0, 1])
    assert open_set.open_f1(known, unknown[:2], 0.5, 2) == pytest.approx((2 / 3 + 0 + 1 / 2) / 3)
    assert open_set.open_f1(known, unknown, 0.5, 2, [0]) == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)  # no wrong 1
    assert open_set.open_f1(known, unknown, 0.5, 2, []) == pytest.approx((2 / 3 + 0 + 0) / 3)


def test_the_threshold_keeps_training_clips_and_the_published_one_rejects_them(golden):
    case = golden("open_set.json")["threshold_from_training_set"]
    train = torch.tensor(case["uncertainties"], dtype=torch.float64)
    threshold = open_set.threshold_keeping(train)
    assert threshold == case["expected"]
    assert (train > threshold).double().mean() < 0.05
    assert (train > open_set.threshold_keeping(train, ascending=True)).double().mean() > 0.9


def test_no_clips_or_no_numbers_are_refused():
    one = torch.ones(1)
    with pytest.raises(ParameterError, match="0 known"):
        open_set.auroc(one[:0], one)
    with pytest.raises(ParameterError, match="finite"):
        open_set.auroc(one, one / 0)
    with pytest.raises(ParameterError, match="a share between 0 and 1"):
        open_set.threshold_keeping(one, 1.5)
