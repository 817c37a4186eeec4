"""Softmax confidence, OpenMax and dropout as measures of the unknown."""

import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.heads.unknown import OpenMax, entropy, information, unsure, weibull
from ivcore.metrics.open_set import auroc


def test_entropy_and_information_equal_the_published_ones(golden):
    case = golden("open_set.json")["stochastic_uncertainty"]
    passes = torch.tensor(case["scores"], dtype=torch.float64)
    torch.testing.assert_close(entropy(passes), torch.tensor(case["entropy"], dtype=torch.float64))
    torch.testing.assert_close(information(passes), torch.tensor(case["bald"], dtype=torch.float64))


def test_the_weibull_fit_finds_the_distribution_it_was_drawn_from():
    draws = torch.distributions.Weibull(3.0, 1.7)
    torch.manual_seed(0)
    scale, shape = 3.0, 1.7
    found = weibull(draws.sample((20000,)))
    assert found == pytest.approx((shape, scale), rel=0.03)


def test_openmax_and_confidence_tell_clips_between_the_classes():
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    logits = 6 * torch.eye(3)[labels] + torch.randn(300, 3)
    strange = 2 + torch.randn(300, 3)
    model = OpenMax(logits[:150], labels[:150])
    assert auroc(model(logits[150:]), model(strange)) > 0.8
    assert auroc(unsure(logits[150:]), unsure(strange)) > 0.8


def test_openmax_names_a_class_without_right_clips():
    with pytest.raises(ParameterError, match="class 1: 0 training clips"):
        OpenMax(torch.eye(2)[[0, 0, 0]], torch.tensor([0, 0, 1]))
