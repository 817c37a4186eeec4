"""Averages weights: model soups (arXiv 2203.05482) of several checkpoints, and WiSE-FT (arXiv 2109.01903) between two.

average([a, b, c])                     # state dicts
average([before, after], [0.5, 0.5])   # WiSE-FT with alpha 0.5, the share of the fine-tuned weights
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from ivcore.errors import ParameterError
from ivcore.weights.accounting import State, WeightsError, listed


def average(states: Sequence[Mapping[str, Tensor]], shares: Sequence[float] | None = None) -> State:
    """The weighted mean of state dicts with the same keys and shapes. shares: one each, not negative, with sum 1; by default equal.

    Sums are computed in float64 and returned in the first state's type: equal tensors are unchanged, bit for bit, and a share of 1 gives
    that state. Integers and booleans are the first state's. WeightsError that names what does not fit; ParameterError for bad shares.
    """
    shares = [1 / max(len(states), 1)] * len(states) if shares is None else list(shares)
    if not states or len(shares) != len(states) or min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ParameterError(f"shares: {shares}, must be a number from 0 on for each of {len(states)} states, of sum 1")
    first = states[0]
    for number, state in enumerate(states[1:], 2):
        if differing := sorted(state.keys() ^ first.keys()):
            raise WeightsError(f"state {number} of {len(states)}: has other tensors than the first, {listed(differing)}")  # fmt: skip
        if name := next((name for name in first if state[name].shape != first[name].shape), None):
            raise WeightsError(f"state {number} of {len(states)}: {name} is {tuple(state[name].shape)}, in the first {tuple(first[name].shape)}")  # fmt: skip
    return {name: _mean([state[name] for state in states], shares) for name in first}


def _mean(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return first.clone()
    total = sum(share * tensor.to(first.device).double() for share, tensor in zip(shares, tensors))
    return total.to(first.dtype)
