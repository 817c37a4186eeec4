"""Segments that are moved towards their events, on a toy whose features say where an event begins and ends."""

import torch

from ivcore.heads.segment_refiner import SegmentRefiner, jittered, overlap, refiner_loss


def toy(seed: int) -> dict:
    """40 steps with one event, during which the first feature is 1."""
    generator = torch.Generator().manual_seed(seed)
    start, length = torch.randint(6, 20, (1,), generator=generator), torch.randint(5, 12, (1,), generator=generator)
    time = torch.arange(40)
    inside = ((time >= start) & (time < start + length)).float()
    return {"features": torch.stack((inside, 1 - inside), 1), "segments": torch.stack((start, start + length), 1).float()}  # fmt: skip


def test_ends_move_to_where_the_event_is():
    torch.manual_seed(0)
    model = SegmentRefiner(2, width=16, heads=2, stages=2)
    optimizer, generator = torch.optim.Adam(model.parameters(), 3e-3), torch.Generator().manual_seed(0)
    for step in range(120):
        loss, numbers = refiner_loss(model, [toy(step), toy(1000 + step)], generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert {*numbers} == {"move_loss", "fit_loss"}
    before, after, fits = [], [], []
    with torch.inference_mode():
        for seed in range(5000, 5030):
            item = toy(seed)
            off = item["segments"] + torch.tensor([[2.0, 2.0]])
            moved, fit = model.eval()(item["features"], torch.cat((off, torch.tensor([[0.0, 4.0]]))))[-1]
            before.append(overlap(off, item["segments"]))
            after.append(overlap(moved[:1], item["segments"]))
            fits.append(fit)
    assert torch.cat(after).mean() > torch.cat(before).mean() + 0.1
    right, elsewhere = torch.stack(fits).unbind(1)
    assert right.mean() > elsewhere.mean()


def test_a_batch_without_an_event_teaches_nothing_and_breaks_nothing():
    model = SegmentRefiner(2, width=8, heads=2)
    loss, _ = refiner_loss(model, [{"features": torch.zeros(5, 2), "segments": torch.zeros(0, 2)}])
    loss.backward()
    assert loss.item() == 0


def test_overlap_and_jitter():
    a, b = torch.tensor([[0.0, 4.0], [0.0, 1.0]]), torch.tensor([[2.0, 6.0], [2.0, 3.0]])
    torch.testing.assert_close(overlap(a, b), torch.tensor([1 / 3, 0.0]))
    moved = jittered(a.repeat(50, 1), torch.Generator().manual_seed(0))
    assert (moved[:, 1] > moved[:, 0]).all() and 0.3 < (overlap(moved, a.repeat(50, 1)) > 0.3).float().mean() < 0.9
