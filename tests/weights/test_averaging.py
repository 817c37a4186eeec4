"""Averages of weights: means, their ends, and what does not fit."""

import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.weights.accounting import WeightsError
from ivcore.weights.averaging import average


def state(seed: int, dtype=torch.float32) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(3, 4, generator=generator).to(dtype), "count": torch.tensor(seed)}


def test_means_are_means():
    a, b, c = state(1), state(2), state(3)
    mean = average([a, b, c])
    assert torch.allclose(mean["w"], (a["w"] + b["w"] + c["w"]) / 3, atol=1e-6) and mean["count"] == 1
    assert torch.allclose(average([a, b], [0.25, 0.75])["w"], 0.25 * a["w"] + 0.75 * b["w"], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_ends_and_equals_are_exact(dtype):
    a, b = state(1, dtype), state(2, dtype)
    assert torch.equal(average([a, b], [1, 0])["w"], a["w"]) and torch.equal(average([a, b], [0, 1])["w"], b["w"])
    for equals in ([a, a, a], [a, a]):
        mean = average(equals)
        assert torch.equal(mean["w"], a["w"]) and mean["w"].dtype == dtype and mean["w"] is not a["w"]
    assert torch.equal(average([a, a], [0.3, 0.7])["w"], a["w"])


@pytest.mark.parametrize("change, said", [
    ({"more": torch.ones(1)}, "state 2 of 2: has other tensors than the first, more"),
    ({"w": torch.ones(4, 3)}, r"w is \(4, 3\), in the first \(3, 4\)"),
])  # fmt: skip
def test_states_that_do_not_fit(change, said):
    with pytest.raises(WeightsError, match=said):
        average([state(1), state(2) | change])


@pytest.mark.parametrize("shares", [[0.5], [0.5, 0.6], [1.5, -0.5]])
def test_shares_that_do_not_fit(shares):
    with pytest.raises(ParameterError, match="shares: "):
        average([state(1), state(2)], shares)
    with pytest.raises(ParameterError):
        average([])
