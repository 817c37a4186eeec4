"""Shared by the stages that learn from united label sets: kinds of classes as far as clips are of them, and a pair that must be given."""

from types import SimpleNamespace

import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.stages import label_sets

DATA = SimpleNamespace(union=SimpleNamespace(classes=["Grow", "red thing", "orbit"]), motion=[0, 2], appearance=[1],
                       kinds={"Grow": "motion", "red thing": "appearance", "orbit": "motion"})  # fmt: skip


def test_top1_of_each_kind_that_occurs():
    scores = torch.eye(3)[[0, 0, 2, 1]]
    assert label_sets.top1_by_kind(DATA, scores, torch.tensor([0, 1, 2, 1]), "probe") == {
        "probe": 0.75,
        "probe_motion": 1.0,
        "probe_appearance": 0.5,
    }
    assert set(label_sets.top1_by_kind(DATA, scores, torch.tensor([0, 2, 2, 0]))) == {"top1", "top1_motion"}


def test_names_are_written_one_way():
    assert label_sets.class_names(DATA)[0] == "grow" and label_sets.kind_names(DATA)["grow"] == "motion"


def test_a_pair_needs_both():
    run = SimpleNamespace(upstream=lambda name: None if name == "multimodal_encoder" else "a file")
    with pytest.raises(ParameterError, match="two classifiers of notebook 12"):
        label_sets.load_pair(run, (8, 4), 32)
