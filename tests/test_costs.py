"""Model cards: counted numbers against published ones and against arithmetic."""

import pytest
import torch

from ivcore import costs
from ivcore.encoders.videomae import VideoClassifier


@pytest.fixture(scope="module")
def card():
    return lambda name: next(costs.cards([name]))


# giga multiply-adds a clip that VideoMAE (arXiv 2203.12602, table 6) gives for 16 x 224 x 224
@pytest.mark.parametrize("size, published", [("small", 57), ("base", 180)])
def test_operations_of_fine_tuning_are_the_published_ones(card, size, published):
    assert card(f"VideoMAE {size}, 400 classes").operations / 2e9 == pytest.approx(published, rel=0.01)


def test_operations_and_memory_of_tiny_by_hand(card):
    found = card("VideoMAE tiny, 400 classes")
    n, d, classes = 64, 128, 400
    block = 2 * n * d * 12 * d + 4 * n * n * d  # qkv, proj and a fourfold MLP; scores and their sum
    assert found.operations == 4 * block + 2 * n * 384 * d + 2 * d * classes
    parameters = sum(p.numel() for p in VideoClassifier("tiny", 400).parameters())
    assert found.parameters == parameters and found.state_bytes == 16 * parameters
    kept = 4 * n * d * (1 + 3 + 1 + 1 + 1 + 4 + 4 + 1)  # a block keeps about sixteen of its input in float32
    assert found.activation_bytes == pytest.approx(4 * kept, rel=0.1)


def test_masking_saves_what_it_promises(card):
    found = card("VideoMAE base, pretraining, 90% hidden")
    assert (found.tokens, found.encoder_tokens) == (1568, 160)
    assert found.operations < card("VideoMAE base, 400 classes").operations / 5


def test_nothing_is_allocated_for_the_largest(card):
    assert torch.empty(0).device.type == "cpu"  # no device context leaks out
    assert card("VideoMAE giant, 400 classes").parameters == 1_012_174_352
    assert next(VideoClassifier("tiny", 2).parameters()).device.type == "cpu"


def test_the_table_has_a_line_a_model():
    found = [next(costs.cards(["VideoMAE tiny, 400 classes"]))]
    assert "893,712" in costs.table(found) and len(costs.table(found).splitlines()) == 3
    assert len(costs.names()) == 21


def test_a_coordinated_model_trains_little_and_says_what_it_adds(card):
    found = card("Coordinated VideoMAE base, UniFormerV2 B/16")
    alone = [card("VideoMAE base, 400 classes"), card("UniFormerV2 B/16, 400 classes")]
    assert found.parameters == sum(single.parameters for single in alone) + found.added
    assert found.training_bytes < 0.5 * sum(single.training_bytes for single in alone)
    assert f"fusion add {found.added:,d} to the pair's 201,087,008" in costs.table([found])


def test_the_backward_pass_is_counted_where_gradients_are_off(card):
    wanted = card("VideoMAE tiny, 400 classes")
    with torch.no_grad():
        assert card("VideoMAE tiny, 400 classes") == wanted
