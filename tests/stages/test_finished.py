"""Finished runs beside one: alike in everything but seeds, or but what a study changes."""

from pathlib import Path
from types import SimpleNamespace

from ivcore.run import board
from ivcore.stages import finished


def test_only_the_seed_may_differ(monkeypatch):
    row = lambda metrics, **params: board.Row(Path("x"), params, metrics, "d", {})  # noqa: E731
    rows = [
        row({"probe": 2.0}, seed=1, steps=9),
        row({"probe": 3.0}, seed=2, steps=8),  # another length
        row({"probe": 4.0}, seed=0, steps=9),  # this run, done before
        row({"knn": 5.0}, seed=3, steps=9),  # did not measure it
    ]
    monkeypatch.setattr(finished.board, "rows", lambda reference: rows if reference == "20_x" else [])
    run = SimpleNamespace(notebook="20_x", params={"seed": 0, "steps": 9, "run_dir": ""})
    assert finished.over_seeds(run, {"probe": 1.0}) == {"probe": [1.0, 2.0]}


def test_this_run_is_first_among_those_it_may_be_compared_with(monkeypatch):
    def row(folder, steps=9, **metrics):
        return board.Row(Path(folder), {"local": folder == "b", "steps": steps}, {"data": "d"} | metrics, "d", {})

    others = [row("b"), row("c", steps=8), row("a"), row("d", box="ivcore/small-masked")]
    monkeypatch.setattr(finished.board, "rows", lambda reference: others)
    run = SimpleNamespace(notebook="22_x", dir=Path("a"), params={"local": False, "steps": 9}, from_box=[])
    rows = finished.comparable(run, {"top1": 1.0, "data": "d"}, "local")
    assert [each.folder.name for each in rows] == ["a", "b"] and rows[0].metrics["top1"] == 1.0
    run.from_box = ["ivcore/small-masked"]  # stands in for a run: compared with its like
    assert [each.folder.name for each in finished.comparable(run, {"data": "d"}, "local")] == ["a", "d"]
