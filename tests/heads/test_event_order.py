"""The head for the order of events: what it depends on, and what it cannot."""

import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.heads.event_order import EventOrder, first_logits, order_loss, places


def head(**options):
    torch.manual_seed(0)
    return EventOrder(6, 4, 16, **options).eval()


@pytest.mark.parametrize("layers", [0, 2])
def test_padding_changes_nothing(layers):
    model, features = head(layers=layers), torch.randn(2, 9, 6)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[0, 5:] = False
    alone = model(features[:1, :5], mask[:1, :5])
    torch.testing.assert_close(model(features, mask)[:1], alone, rtol=1e-4, atol=1e-5)


def test_the_average_does_not_know_the_order_and_the_head_does():
    features, mask = torch.randn(1, 9, 6), torch.ones(1, 9, dtype=torch.bool)
    pool, ordered = head(pool=True), head()
    torch.testing.assert_close(pool(features, mask), pool(features.flip(1), mask))
    assert not torch.allclose(ordered(features, mask), ordered(features.flip(1), mask), atol=1e-3)


def test_a_pair_that_is_swapped_changes_the_sign():
    when = torch.tensor([[0.1, 0.9, 0.5, 0.2]])
    logits = first_logits(when, torch.tensor([[[0, 1], [1, 0], [2, 3]]]))
    torch.testing.assert_close(logits, torch.tensor([[0.8, -0.8, -0.3]]))


def test_places_reach_from_beginning_to_end_whatever_the_length():
    short, long = (places(torch.ones(1, n, dtype=torch.bool), 8)[0] for n in (4, 400))
    torch.testing.assert_close(short[0], long[49:51].mean(0), rtol=0, atol=2e-2)
    with pytest.raises(ParameterError, match="multiple of 4"):
        EventOrder(6, 4, 18)


def test_the_loss_is_the_pairs_and_what_was_missed():
    model = head()
    batch = {"features": torch.randn(2, 5, 6), "mask": torch.ones(2, 5, dtype=torch.bool), "shown": torch.tensor([[0, 0, -1, 1, 1], [2, -1, 3, 3, -1]]),
             "pairs": torch.tensor([[[0, 1], [0, 0]], [[2, 3], [3, 2]]]), "first": torch.tensor([[True, False], [True, False]]),
             "asked": torch.tensor([[True, False], [True, True]])}  # fmt: skip
    when, found = model.look(batch["features"], batch["mask"])
    order = [(when[0, 1] - when[0, 0]), (when[1, 3] - when[1, 2])]
    expected = -torch.stack(order).sigmoid().log().mean()
    inside = [(0, 0, [0, 1]), (0, 1, [3, 4]), (1, 2, [0]), (1, 3, [2, 3])]
    missed = -torch.stack([found[b, k, some].exp().sum().log() for b, k, some in inside]).mean()
    loss, numbers = order_loss(model, batch)
    torch.testing.assert_close(loss, expected + missed)
    torch.testing.assert_close(numbers["order"], expected.detach())
    pooled = head(pool=True)
    when, happens = pooled.look(batch["features"], batch["mask"])
    loss, numbers = order_loss(pooled, batch)
    known = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    torch.testing.assert_close(
        numbers["missed"], torch.nn.functional.binary_cross_entropy_with_logits(happens, known).detach()
    )
    loss.backward()
    assert all(weight.grad is not None for weight in pooled.parameters())  # nothing of it is dead


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_the_pooled_head_is_as_large(layers):
    sizes = [
        sum(w.numel() for w in EventOrder(128, 15, 64, layers=layers, pool=pool).parameters()) for pool in (False, True)
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.002)


def test_it_learns_an_order_that_the_average_cannot():
    generator = torch.Generator().manual_seed(0)

    def batch():
        shown = torch.stack([torch.randperm(8, generator=generator) for _ in range(32)])
        features = torch.nn.functional.one_hot(shown, 8)[..., :6].float()
        at = shown.argsort(1)
        return {"features": features, "mask": torch.ones(32, 8, dtype=torch.bool), "shown": torch.where(shown < 4, shown, -1), "pairs": torch.tensor([[[0, 1], [2, 3]]]).expand(32, -1, -1),
                "first": torch.stack((at[:, 0] < at[:, 1], at[:, 2] < at[:, 3]), 1), "asked": torch.ones(32, 2, dtype=torch.bool)}  # fmt: skip

    accuracy = {}
    for pool in (False, True):
        model = head(layers=0, pool=pool)
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(60):
            loss, _ = order_loss(model, batch())
            optimiser.zero_grad(), loss.backward(), optimiser.step()
        accuracy[pool] = sum(order_loss(model, batch())[1]["accuracy"].item() for _ in range(8)) / 8
    assert accuracy[False] > 0.9 and accuracy[True] < 0.65
