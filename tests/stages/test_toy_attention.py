"""The toy of cross-model attention gives numbers that can be computed by hand."""

import math

import pytest
import torch

from ivcore.stages.toy_attention import first_numbers, toy_attention, toy_tokens


def test_a_shut_gate_changes_nothing_and_an_open_one_adds_what_attention_takes():
    masked, multimodal = toy_tokens()
    assert torch.equal(toy_attention()(masked, multimodal), masked)
    like, unlike = math.exp(math.sqrt(2)), math.exp(-math.sqrt(2))
    to_red = like / (like + 4 * unlike)
    turned = toy_attention(math.inf)(masked, multimodal)[..., 0]
    assert turned[0].tolist() == pytest.approx([2, 2, 1, 1, 1], abs=1e-3)
    assert turned[1, 0].item() == pytest.approx(1 + 2 * to_red - 1, abs=1e-3)
    assert turned[1, 4].item() == pytest.approx(-0.6, abs=1e-3)


def test_the_feed_forward_network_adds_gelu_of_each_token():
    masked, multimodal = toy_tokens()
    found = toy_attention(math.inf, math.inf)(masked, multimodal)[1, 4]
    up, down = (0.5 * y * (1 + math.erf(y / math.sqrt(2))) for y in (1, -1))
    assert found.tolist() == pytest.approx([-0.6 + down, 0.6 + up], abs=1e-3)


def test_a_shut_gate_has_a_gradient_and_what_is_behind_it_has_none():
    module = toy_attention()
    module(*toy_tokens())[1, 4, 0].backward()
    assert module.attention_gate.grad.item() == pytest.approx(-0.6, abs=1e-3)
    assert not module.q.weight.grad.any() and not module.ffn.fc1.weight.grad.any()


def test_attention_without_gates_adds_its_whole_output():
    masked, multimodal = toy_tokens()
    module = toy_attention(None)
    assert module.attention_gate is None and module.gates().tolist() == [1, 1]
    found = first_numbers(module, masked, multimodal)
    assert found[0].tolist() == pytest.approx([2, 2, 1, 1, 1], abs=1e-3)
    assert torch.equal(found, first_numbers(toy_attention(math.inf), masked, multimodal))
