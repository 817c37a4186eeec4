"""The toy of cross-model attention gives numbers that can be computed by hand."""

import math

import pytest
import torch

from ivcore.stages.toy_attention import first_numbers, toy_attention, toy_tokens


def test_a_shut_gate_changes_nothing_and_an_open_one_adds_what_attention_takes():
    masked, multimodal = toy_tokens()
    assert torch.equal(first_numbers(toy_attention(0.0), masked, multimodal), masked[..., 0])
    like, unlike = math.exp(math.sqrt(2)), math.exp(-math.sqrt(2))
    to_red = like / (like + 4 * unlike)
    turned = first_numbers(toy_attention(1.0), masked, multimodal)
    assert turned[0].tolist() == pytest.approx([2, 2, 1, 1, 1], abs=1e-3)
    assert turned[1, 0].item() == pytest.approx(1 + 2 * to_red - 1, abs=1e-3)
    assert turned[1, 4].item() == pytest.approx(-0.6, abs=1e-3)
    assert torch.equal(first_numbers(toy_attention(None), masked, multimodal), turned)
