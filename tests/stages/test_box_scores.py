"""The quick scores of the card: which clips count for a classifier, and which sets can be had."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ivcore.data import bodies, creatures
from ivcore.errors import UserError
from ivcore.stages import box_scores
from ivcore.video.writer import write_video
from ivcore.weights.usage import Usage


class ByBrightness(nn.Module):
    """Scores for grow, move left and jump: the row of the clip's brightness, 50 grey levels a row."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Parameter(torch.tensor([[0.1, 0.2, 0.9], [9.0, 9.0, 9.0], [0.3, 0.1, 0.9], [0.2, 0.4, 0.9]]))
        self.seen = []

    def prepare(self, clips):
        return (clips.float().mean((1, 2, 3, 4)) / 50).round().long()

    def forward(self, numbers):
        self.seen += numbers.tolist()
        return self.rows[numbers]


def test_a_classifier_answers_among_the_classes_it_was_taught(tmp_path):
    """One of four clips has a class that the model was never taught. Among the taught classes of the other three, two answers are right."""
    for number in range(5):
        write_video(tmp_path / f"{number}.mp4", np.full((8, 16, 16, 3), 50 * number, np.uint8), 8)
    (tmp_path / "classes.txt").write_text("Move left\ncook\ngrow\n")
    (tmp_path / "test.csv").write_text("0.mp4 0\n1.mp4 1\n2.mp4 2\n3.mp4 2\n")
    (tmp_path / "train.csv").write_text("4.mp4 0\n")
    model, used = ByBrightness(), Usage(16, 4, "dense", 1, classes=("grow", "move_left", "jump"))
    assert box_scores._top1(model, used, tmp_path) == {"top1": pytest.approx(2 / 3), "chance": 0.5}
    assert model.seen == [0, 2, 3]
    assert box_scores._top1(model, replace(used, classes=("grow", "jump")), tmp_path) == {}


def test_a_set_that_needs_a_simulator_says_what_to_install(tmp_path, monkeypatch):
    def refuse():
        raise UserError("make sim")

    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    monkeypatch.setattr(bodies, "require_simulator", refuse)
    assert box_scores.lacking("bodies") == "make sim"
    assert box_scores.lacking(box_scores.SHAPES) == box_scores.lacking("creatures") == ""
    folder = box_scores.rendered.folder_of(*box_scores._source("bodies"))
    folder.mkdir()
    (folder / "complete").touch()
    assert box_scores.lacking("bodies") == ""


def test_the_clips_are_not_those_that_presets_train_on():
    assert box_scores._source("creatures")[1].seed == box_scores.SEED != creatures.Creatures().seed
