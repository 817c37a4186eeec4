"""Runs with fewer labels are compared only where equally many clips were seen in all, and of each encoder with the most seeds."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ivcore.run import board
from ivcore.stages import few_labels


def row(name, branch="masked", num_clips=1920, epochs=16.0, seed=0, tested=960):
    params = {"label_sets": "", "num_clips": num_clips, "epochs": epochs, "seed": seed, "encoder": branch, "lr": 0.008}
    return board.Row(Path("12_x") / name, params, {"branch": branch, "top1": 0.5, "test_videos": tested}, "d", {})


@pytest.fixture
def by_labels(monkeypatch):
    found = [
        row("few", num_clips=240, epochs=128.0),
        row("few again", num_clips=240, epochs=128.0, seed=1),
        row("few and short", num_clips=240),  # saw an eighth of the clips
        row("a try", num_clips=120, epochs=256.0, tested=120),
        row("other", "multimodal"),
    ]
    monkeypatch.setattr(few_labels, "comparable", lambda run, metrics, *free: [row("own"), *found])
    return few_labels.runs_by_labels(SimpleNamespace(params=row("own").params), {}, 60)


def test_only_runs_that_saw_as_many_clips_count(by_labels):
    names = {count: sorted(each.folder.name for each in rows) for count, rows in by_labels.items()}
    assert names == {240: ["few", "few again"], 1920: ["other", "own"]}


def test_a_line_for_each_encoder(by_labels):
    figure = few_labels.label_curves(by_labels, "top1", [""], 0.05, "title")
    assert len(figure.axes) == 1 and figure.axes[0].get_xlabel() == "all classes: labelled videos"
