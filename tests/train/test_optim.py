"""Parameter groups and learning rates against the numbers of the published optimiser code."""

import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from ivcore.encoders.sizes import SIZES
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import ParameterError
from ivcore.train.engine import Engine
from ivcore.train.optim import lr_at, optimizer_of, parameter_groups, set_lr
from ivcore.train.recipe import Recipe, linear_lr


def assigned(model, weight_decay, layer_decay):
    """name -> (lr_scale, weight_decay)"""
    names = {id(p): n for n, p in model.named_parameters()}
    groups = parameter_groups(model, weight_decay, layer_decay)
    return {names[id(p)]: (g["lr_scale"], g["weight_decay"]) for g in groups for p in g["params"]}


def test_layer_decay_groups_are_the_published_ones(golden):
    published = golden("layer_decay_groups.json")
    config = published["config"]
    size = dataclasses.replace(SIZES["tiny"], depth=config["depth"])
    got = assigned(VideoClassifier(size, 10), config["weight_decay"], config["layer_decay"])
    assert got.keys() == published["parameters"].keys()
    for name, (scale, decay) in published["parameters"].items():
        assert got[name] == (pytest.approx(scale, rel=1e-12), decay), name


def test_layer_decay_of_the_huge_encoder():
    with torch.device("meta"):
        got = assigned(VideoClassifier("huge", 400), 0.05, 0.8)
    scales = {
        name: got[name][0]
        for name in ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.31.mlp.fc1.weight", "head.weight")
    }
    assert list(scales.values()) == pytest.approx([6.338e-4, 7.923e-4, 0.8, 1.0], rel=1e-3)
    assert got["fc_norm.weight"] == (1.0, 0.0)


def test_without_layer_decay_the_same_parameters_are_spared_from_weight_decay():
    model = VideoClassifier("tiny", 10)
    with_, without = assigned(model, 0.05, 0.75), assigned(model, 0.05, None)
    assert {n: d for n, (_, d) in with_.items()} == {n: d for n, (_, d) in without.items()}
    assert {scale for scale, _ in without.values()} == {1.0}


def test_mask_token_and_frozen_parameters():
    model = MaskedAutoencoder("tiny")
    model.encoder.patch_embed.requires_grad_(False)
    got = assigned(model, 0.05, None)
    assert got["mask_token"] == (1.0, 0.0)
    assert "encoder.patch_embed.proj.weight" not in got
    assert len(got) == sum(p.requires_grad for p in model.parameters())


def test_names_listed_by_the_model_are_spared():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.weight, self.scale = (nn.Parameter(torch.zeros(2, 2)) for _ in range(3))

        def no_weight_decay(self):
            return {"table", "sc*"}

    assert {n: d for n, (_, d) in assigned(Model(), 0.1, None).items()} == {"table": 0.0, "scale": 0.0, "weight": 0.1}


def test_what_cannot_be_optimised_is_refused():
    with pytest.raises(ParameterError, match=r"layer_decay=0\.5: Linear"):
        parameter_groups(nn.Linear(2, 2), 0.1, 0.5)
    with pytest.raises(ParameterError, match="trainable"):
        optimizer_of(nn.Linear(2, 2).requires_grad_(False), Recipe(batch_size=1, lr=1.0, steps=1))


def test_layer_scales_reach_the_optimiser():
    optimizer = optimizer_of(VideoClassifier("tiny", 10), Recipe(batch_size=8, lr=1.0, steps=1, layer_decay=0.5))
    set_lr(optimizer, 0.2)
    assert {g["lr"] for g in optimizer.param_groups} == {0.2 * g["lr_scale"] for g in optimizer.param_groups}
    assert min(g["lr"] for g in optimizer.param_groups) == pytest.approx(0.2 * 0.5 ** (SIZES["tiny"].depth + 1))


def test_schedule_of_the_huge_pretraining():
    """lr 1e-3 x 384 / 256, minimum 5e-5 x 384 / 256, 301 epochs with 15 of warm-up."""
    peak, floor, epoch = linear_lr(1e-3, 384), linear_lr(5e-5, 384), 3490
    total, warmup = 301 * epoch, 15 * epoch
    rates = [lr_at(s, total, peak, floor, warmup) for s in (0, 1, warmup - 1, warmup, (warmup + total) // 2, total - 1)]
    assert rates[0] == 0.0
    assert rates[1] == pytest.approx(peak / (warmup - 1))
    assert rates[2] == rates[3] == pytest.approx(1.5e-3, abs=1e-12)
    assert rates[4] == pytest.approx((peak + floor) / 2)
    assert rates[5] == pytest.approx(7.5e-5, abs=1e-8)


def test_schedule_of_the_published_uniformerv2():
    """lr 1e-5, from 1e-6 and back to it, 40 epochs with 5 of warm-up (exp/k710/k710_l14_f8x224)."""
    rates = [lr_at(s, 4000, 1e-5, 1e-6, 500, 1e-6) for s in range(4000)]
    assert rates[0] == 1e-6 and rates[499] == rates[500] == pytest.approx(1e-5)
    assert rates[250] == pytest.approx((1e-6 + 1e-5) / 2, rel=1e-2)
    assert rates[-1] == pytest.approx(1e-6, rel=1e-5) and min(rates) == 1e-6


def test_sgd_is_torchs_own_and_stops_where_a_number_is_not_finite():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
    theirs.load_state_dict(ours.state_dict())
    engine = Engine(ours, Recipe(batch_size=1, lr=0.1, steps=1, optimizer="sgd", weight_decay=1e-2))
    plain = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2)
    for x in torch.randn(4, 5, 3):
        engine.backward(ours(x).square().mean())
        engine.step(0.1)
        theirs(x).square().mean().backward()
        plain.step(), plain.zero_grad()
        torch.testing.assert_close(ours.weight, theirs.weight)
    engine.backward(ours(torch.full((1, 3), math.nan)).mean())
    engine.step(0.1)
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_the_rate_drops_to_a_tenth_after_each_share():
    """DEAR: lr 1e-3, a tenth after 20 and after 40 of 50 epochs."""
    rates = [lr_at(step, 500, 1e-3, drops=(0.4, 0.8)) for step in (0, 199, 200, 399, 400, 499)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    assert lr_at(1, 500, 1e-3, warmup=11, drops=(0.4,)) == pytest.approx(1e-4)


@pytest.mark.parametrize("total, warmup", [(1, 0), (1, 1), (7, 0), (7, 7), (50, 10)])
def test_schedule_stays_between_its_bounds(total, warmup):
    rates = [lr_at(s, total, 2.0, 0.5, warmup) for s in range(total)]
    assert all(math.isfinite(r) and 0 <= r <= 2 for r in rates)
    assert all(a <= b for a, b in pairwise(rates[:warmup]))
    assert all(0.5 <= b <= a for a, b in pairwise(rates[warmup:]))


def test_recipe_counts_steps_and_effective_epochs():
    recipe = Recipe(batch_size=384, lr=1.5e-3, epochs=300, warmup_epochs=15, repeats=4)
    assert recipe.total_steps(3490) == 300 * 3490
    assert recipe.warmup(3490) == 15 * 3490
    assert recipe.effective_epochs(3490) == 1200  # as the paper counts them
    assert Recipe(batch_size=1, lr=1.0, steps=5, warmup_steps=9).warmup(2) == 5


@pytest.mark.parametrize(
    "field, value",
    [("lr", 0.0), ("precision", "fp8"), ("ema_decay", 1.0), ("layer_decay", 0.0), ("micro_batch", 9), ("betas", (0.9, 1.0)),
     ("clip_grad", 0.0), ("min_lr", 2.0), ("warmup_lr", 2.0), ("steps", None), ("epochs", 2), ("keep_checkpoints", 0), ("warmup_steps", -1),
     ("optimizer", "adam"), ("lr_drops", (1.0,))],
)  # fmt: skip
def test_recipe_names_the_field_it_refuses(field, value):
    named = "steps" if field == "epochs" else field
    with pytest.raises(ParameterError, match=rf"^{named}=.*must be"):
        Recipe(**{"batch_size": 8, "lr": 1.0, "steps": 5, field: value})


def test_parts_of_a_model_learn_at_rates_of_their_own():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    recipe = Recipe(batch_size=1, lr=0.1, steps=1, weight_decay=0.2, lr_shares=(("0.weight", 0.0), ("0.", 0.5)))
    optimizer = optimizer_of(model, recipe)
    set_lr(optimizer, 0.1)
    found = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    rates = {name: found[id(p)] for name, p in model.named_parameters()}
    assert rates == {"0.weight": (0, 0.2), "0.bias": (0.05, 0), "1.weight": (0.1, 0.2), "1.bias": (0.1, 0)}
    with pytest.raises(ParameterError, match="lr_shares"):
        Recipe(batch_size=1, lr=0.1, steps=1, lr_shares=(("0.", -1.0),))
