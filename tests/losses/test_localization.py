"""Targets, losses and gradients equal the published ones; padding and videos without events count for nothing."""

import pytest
import torch

from ivcore import weights
from ivcore.heads.actionformer import ActionFormer
from ivcore.heads.actionformer.layers import AffineDropPath
from ivcore.losses.localization import collate, diou_loss, focal_loss, localization_loss, targets

NAMES = ("actionformer_anet_style", "actionformer_fpn_relpe")
KNOWN = ("n_head", "n_mha_win_size", "regression_range", "max_seq_len", "use_abs_pe")


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_published_losses_and_gradients(golden, close, name):
    g = golden(name)
    model = weights.from_official(g.weights, {known: g.config[known] for known in KNOWN}).train()
    for module in model.modules():
        if isinstance(module, AffineDropPath):
            module.drop.drop_prob = 0.0  # as the published numbers were made
    parts = ("feats", "segments", "labels")
    given = [[g.inputs[f"train_{part}{i}"] for part in parts] for i in range(2)]
    batch = collate(model, [{"features": f.T, "segments": s, "labels": k} for f, s, k in given])
    points = model(batch["features"], batch["mask"]).points
    for i, (_, segments, labels) in enumerate(given):
        classes, offsets = targets(points, segments, labels, model.num_classes)
        close(classes, g.outputs[f"train/cls_targets{i}"])
        close(offsets * (classes.sum(1, keepdim=True) > 0), g.outputs[f"train/offset_targets{i}"])
    numbers = {name: g.config["train_cfg"][name] for name in ("loss_weight", "label_smoothing")}
    loss, parts = localization_loss(model, batch, **numbers)
    loss.backward()
    close(loss, g.outputs["train/final_loss"])
    close(parts["cls_loss"], g.outputs["train/cls_loss"])
    close(parts["reg_loss"], g.outputs["train/reg_loss"])
    close(model.loss_normalizer, g.outputs["train/loss_normalizer_after"])
    for key, expected in g.outputs.items():
        if key.startswith("train/grad/"):
            close(model.get_parameter(key.removeprefix("train/grad/")).grad, expected)


def test_a_video_without_events_has_no_positive_moment():
    torch.manual_seed(0)
    model = ActionFormer(8, 3, backbone_arch=(1, 1, 1), embd_dim=16, n_head=2, n_mha_win_size=5, max_seq_len=16,
                         regression_range=[[0, 4], [4, 100]]).train()  # fmt: skip
    item = {"features": torch.randn(10, 8), "segments": torch.zeros(0, 2), "labels": torch.zeros(0, dtype=torch.long)}
    loss, parts = localization_loss(model, collate(model, [item]))
    loss.backward()
    assert parts["reg_loss"] == 0 and parts["cls_loss"] > 0
    assert model.loss_normalizer == pytest.approx(90.1)
    model.eval()
    localization_loss(model, collate(model, [item]))
    assert model.loss_normalizer == pytest.approx(90.1)


def test_the_shorter_of_two_events_counts():
    points = torch.tensor([[5.0, 0, 100, 1]])
    classes, offsets = targets(points, torch.tensor([[0.0, 10], [4, 6]]), torch.tensor([0, 1]), 2)
    torch.testing.assert_close(classes, torch.tensor([[0.0, 1]]))
    torch.testing.assert_close(offsets, torch.tensor([[1.0, 1]]))
    classes, _ = targets(points, torch.tensor([[4.0, 6], [4, 6]]), torch.tensor([0, 1]), 2)
    torch.testing.assert_close(classes, torch.tensor([[1.0, 1]]))


def test_a_moment_on_a_border_answers_for_nothing():
    """Ends on moments, and the radius too: published comparisons are strict."""
    time = torch.arange(9.0)
    points = torch.stack((time, 0 * time, 0 * time + 100, 0 * time + 1), 1)
    short, long = torch.tensor([[2.0, 4.0]]), torch.tensor([[1.0, 8.0]])  # the middle of the second is at 4.5
    answers = [targets(points, each, torch.tensor([0]), 1)[0][:, 0].nonzero()[:, 0].tolist() for each in (short, long)]
    assert answers == [[3], [4, 5]]


def test_losses_by_hand():
    same = torch.tensor([[2.0, 3.0]])
    assert diou_loss(same, same) == 0
    torch.testing.assert_close(diou_loss(torch.tensor([[1.0, 1]]), torch.tensor([[2.0, 2]])), torch.tensor([0.5]))
    torch.testing.assert_close(
        focal_loss(torch.zeros(2), torch.tensor([1.0, 0])), 0.25 * torch.tensor([0.25, 0.75]) * torch.tensor(2.0).log()
    )
