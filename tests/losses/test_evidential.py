"""The evidential losses against the numbers of the published code."""

import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.losses.evidential import annealing, evidential, uncertainty


def close(ours, theirs):
    theirs = torch.tensor(theirs)
    torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6 * max(1.0, theirs.abs().max().item()))


def test_losses_and_gradients_equal_the_published_ones(golden):
    data = golden("open_set.json")
    assert sum("gradient_of_total" in case for case in data["loss_cases"]) > 5
    for case in data["loss_cases"]:
        expected = case["expected"]
        how = dict(kind=case["annealing_method"], start=case["annealing_start"], steps=case["annealing_step"])
        weight = annealing(case["epoch"], epochs=case["total_epoch"], **how)
        assert weight == pytest.approx(expected["lambda"], rel=1e-5)
        logits = torch.tensor(data["logits"], requires_grad=True)
        loss, terms = evidential(
            logits, torch.tensor(data["labels"]), kind=case["loss_type"], evidence=case["evidence"], weight=weight,
            divergence=case["with_kldiv"], calibration=case["with_avuloss"], disentangle=case.get("disentangle", False),
        )  # fmt: skip
        assert set(terms) == {name for name in expected if name.startswith("loss")}
        for name, term in terms.items():
            close(term.detach(), expected[name])
        close(loss.detach(), case["total_of_means"])
        if "gradient_of_total" in case:
            (gradient,) = torch.autograd.grad(loss, logits)
            close(gradient, case["gradient_of_total"])


def test_uncertainty_equals_the_published_one(golden):
    data = golden("open_set.json")
    for case in data["uncertainty_from_logits"]:
        close(uncertainty(torch.tensor(data["logits"]), case["evidence"]), case["uncertainty"])


def test_no_evidence_is_full_uncertainty():
    assert uncertainty(torch.full((1, 7), -5.0), "relu").item() == 1


@pytest.mark.parametrize("wrong", [dict(kind="hinge"), dict(evidence="square")])
def test_an_unknown_kind_is_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong.values()))):
        evidential(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), **wrong)
