"""Attention rollout."""

import torch

from ivcore.metrics.rollout import rollout


def test_by_hand():
    first = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    second = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # (A + I) / 2: first [[.5, .5], [.25, .75]], second [[1, 0], [.5, .5]]; the second layer stands on the first
    assert torch.allclose(rollout([first, second]), torch.tensor([[0.5, 0.5], [0.375, 0.625]]))


def test_rows_stay_shares_and_looking_at_oneself_changes_nothing():
    layers = torch.rand(5, 7, 7, generator=torch.Generator().manual_seed(0)).softmax(-1)
    assert torch.allclose(rollout(layers).sum(1), torch.ones(7), atol=1e-6)
    assert torch.equal(rollout([torch.eye(3)] * 4), torch.eye(3))
