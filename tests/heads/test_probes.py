"""k-NN and linear probe on features whose answer is known."""

import pytest
import torch
from torch import nn

from ivcore.heads.probes import linear_probe, nearest_neighbours, probed, standardise, train_head
from ivcore.metrics.recognition import top_k


def blobs(per_class: int, spread: float, seed: int):
    """Three classes told apart by two of twenty dimensions; the other eighteen are a hundred times larger noise."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    labels = torch.arange(3).repeat_interleave(per_class)
    near = centres[labels] + spread * torch.randn(len(labels), 2, generator=generator)
    return torch.cat([near, torch.zeros(len(labels), 18)], 1), labels


@pytest.mark.parametrize("classify", [nearest_neighbours, linear_probe])
def test_separable_classes_are_separated(classify):
    train, labels = blobs(40, 0.3, 0)
    queries, truth = blobs(20, 0.3, 1)
    assert top_k(classify(train, labels, queries), truth) == 1.0


@pytest.mark.parametrize("classify", [nearest_neighbours, linear_probe])
def test_features_without_information_stay_near_chance(classify):
    generator = torch.Generator().manual_seed(0)
    train, queries = torch.randn(300, 20, generator=generator), torch.randn(600, 20, generator=generator)
    labels, truth = torch.arange(300) % 3, torch.arange(600) % 3
    assert 0.25 < top_k(classify(train, labels, queries), truth) < 0.42


def test_the_scale_of_a_dimension_does_not_matter():
    train, labels = blobs(40, 0.3, 0)
    queries, _ = blobs(20, 0.3, 1)
    scale = torch.logspace(-3, 3, 20)
    plain = nearest_neighbours(train, labels, queries)
    assert torch.allclose(plain, nearest_neighbours(train * scale, labels, queries * scale), rtol=1e-3, atol=1e-3)


def test_constant_dimensions_are_harmless():
    scaled, other = standardise(torch.ones(5, 3), torch.ones(2, 3))
    assert torch.equal(scaled, torch.zeros(5, 3)) and torch.equal(other, torch.zeros(2, 3))


def test_more_neighbours_than_clips():
    train, labels = blobs(2, 0.1, 0)
    assert nearest_neighbours(train, labels, train, k=50).shape == (6, 3)


def test_labels_may_be_any_numbers_and_those_that_lack_count_as_wrong():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 8, generator=generator) * 5
    train = centres.repeat_interleave(20, 0) + torch.randn(60, 8, generator=generator)
    labels = torch.tensor([7, 99_999_999, 400]).repeat_interleave(20)
    queries, truth = centres[[0, 1, 2, 0]], torch.tensor([7, 99_999_999, 400, 12])
    assert probed(train, labels, queries, truth) == {"knn_top1": 0.75, "probe_top1": 0.75}
    assert probed(train, torch.zeros(60, dtype=torch.long), queries, truth) == {}
    assert probed(train[:1], labels[:1], queries, truth) == {}


def test_only_matrices_decay():
    """With no loss to speak of a matrix shrinks, and neither a bias nor a norm does."""
    head = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    before = [weight.detach().clone() for weight in head.parameters()]
    train_head(head, torch.randn(8, 4), torch.zeros(8, dtype=torch.long), lr=0.1, steps=5, weight_decay=1.0)
    shrunk = [weight.norm() < 0.99 * old.norm() for weight, old in zip(head.parameters(), before)]
    assert shrunk == [weight.dim() > 1 for weight in head.parameters()]


def test_neighbours_in_chunks_are_the_same():
    train, queries = torch.randn(50, 8), torch.randn(30, 8)
    labels = torch.arange(50) % 4
    whole, cut = (nearest_neighbours(train, labels, queries, chunk=chunk) for chunk in (4096, 7))
    torch.testing.assert_close(whole, cut, rtol=1e-5, atol=1e-5)
