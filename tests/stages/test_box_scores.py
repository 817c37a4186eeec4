"""The quick scores of the card: which clips count for a classifier, and which sets can be had."""

from types import SimpleNamespace

import pytest
import torch

from ivcore.data import bodies, creatures
from ivcore.data.videos import VideoSet
from ivcore.errors import UserError
from ivcore.stages import box_scores


def test_a_classifier_answers_among_the_classes_it_was_taught(monkeypatch):
    """Of four clips one is of a class that it was never taught; of the others it gets two right, where only their classes may win."""
    records = [SimpleNamespace(label=label, path=str(i)) for i, label in enumerate([0, 1, 2, 2])]
    test = VideoSet(records, ["Move left", "cook", "grow"], "clips")
    rows = torch.tensor([[0.1, 0.2, 0.9], [0.3, 0.1, 0.9], [0.2, 0.4, 0.9]])  # of grow, move left, jump
    seen = []

    def class_scores(model, views):
        seen.extend(record.path for record in views.records)
        return rows, torch.tensor([record.label for record in views.records])

    monkeypatch.setattr(box_scores, "_splits", lambda place: (None, test))
    monkeypatch.setattr(box_scores, "_views", lambda videos, used: videos)
    monkeypatch.setattr(box_scores, "_class_scores", class_scores)
    used = SimpleNamespace(classes=("grow", "move_left", "jump"))
    assert box_scores._top1(None, used, None) == {"top1": pytest.approx(2 / 3), "chance": 0.5}
    assert seen == ["0", "2", "3"]
    assert box_scores._top1(None, SimpleNamespace(classes=("grow", "jump")), None) == {}


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
