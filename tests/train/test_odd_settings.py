"""Notebooks at settings that are allowed and unusual: they run to their end."""

import json

import pytest

from ivcore.encoders.videomae import VideoClassifier
from ivcore.run import cli
from ivcore.train.checkpoints import save_weights

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))

    def run(*words):
        """The metrics of `iv run`."""
        assert cli.main(["run", *map(str, words)]) == 0
        (done,) = (tmp_path / "outputs").glob("*/*/metrics.json")
        return json.loads(done.read_text())

    return run


def test_a_classifier_of_two_classes_is_looked_at(run, tmp_path):
    model = VideoClassifier("tiny", 2)
    file = save_weights(model, tmp_path / "two.safetensors", model.config)
    assert run("04", "quick", "-p", f"checkpoint={file}")["parameters"] > 0


def test_masks_on_a_grid_of_odd_sides(run):
    """Running cells need an even one, and are left out."""
    assert run("02", "quick", "-p", "image_size=24", "-p", "mask_ratios=[0.1,0.9]")["clips"] == 14
