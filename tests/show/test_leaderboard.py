"""Runs are compared only where they spent the same."""

from pathlib import Path

from ivcore.run.board import Row
from ivcore.show.leaderboard import equal_budgets, measures, most_seeds, side_by_side, sides


def row(encoder, top1, seed=0, data="moving shapes", **params):
    values = {"masked_encoder": "" if encoder == "scratch" else "10/tiny", "seed": seed, "steps": 300} | params
    metrics = {"encoder": encoder, "top1": top1, "probe_top1": top1 / 2, "frames": "ordered"}
    return Row(Path("outputs/30_action_recognition/x"), values, metrics, data, {})


def test_seeds_and_encoders_share_a_budget_and_nothing_else_does():
    same = [row("pretrained", 0.8), row("pretrained", 0.7, seed=1), row("scratch", 0.4)]
    longer, other = row("scratch", 0.6, steps=600), row("scratch", 0.5, data="mine.csv")
    budgets = equal_budgets([longer, *same, other])
    assert budgets[0] == same and sorted(map(len, budgets)) == [1, 1, 3]


def test_a_named_parameter_may_differ_instead():
    rows = [row("pretrained", 0.8, frame_order="ordered"), row("pretrained", 0.4, frame_order="single")]
    assert len(equal_budgets(rows)) == 2 and len(equal_budgets(rows, "frame_order")) == 1
    assert len(equal_budgets([rows[0], row("scratch", 0.1, frame_order="single")], "frame_order")) == 2


def test_sides_hold_one_value_a_run():
    rows = [row("scratch", 0.4), row("pretrained", 0.8), row("pretrained", 0.7, seed=1)]
    assert sides(rows, "encoder") == {"pretrained": [0.8, 0.7], "scratch": [0.4]}
    assert sides(rows, "encoder", "never measured") == {}
    assert measures(rows) == {"fine-tuned": "top1", "linear probe": "probe_top1"} and measures([]) == {}


def test_a_setting_that_was_only_tried_out_is_no_seed():
    rows = [row("scratch", 0.1, lr=1.0), row("scratch", 0.4), row("scratch", 0.5, seed=1), row("pretrained", 0.8)]
    (budget,) = equal_budgets([*rows[1:], row("scratch", 0.1)])
    assert len(budget) == 4
    assert sides(most_seeds(rows, "encoder"), "encoder") == {"pretrained": [0.8], "scratch": [0.4, 0.5]}


def test_side_by_side_are_the_runs_of_the_largest_budget_with_several_sides():
    alone = [row("scratch", 0.1, steps=5), row("scratch", 0.2, steps=5), row("scratch", 0.3, steps=5)]
    pair = [row("scratch", 0.2), row("pretrained", 0.5)]
    assert side_by_side([*alone, *pair], "encoder") == pair and side_by_side(alone, "encoder") == []
