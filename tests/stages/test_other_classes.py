"""A classifier of the box answers for other classes than it was taught: its own layer cut to them, or a new one fitted."""

import boxed
import pytest
import torch

from ivcore.encoders.videomae import VideoClassifier
from ivcore.stages.other_classes import answer_for, read_by_head
from ivcore.weights import usage

CLIPS = torch.rand(6, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["masked", "multimodal"])
def model(request, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(usage, "classes_of", lambda name: ["Move_left", "grow", "shrink", "turn", "a thing"])
    made = VideoClassifier("tiny", 5, depth=1, frames=4) if request.param == "masked" else boxed.tower(5)
    return made.eval()


def none_wanted():
    raise AssertionError("features of clips are not needed here")


@torch.inference_mode()
def test_what_was_taught_stays_as_it_is(model):
    before = model(CLIPS)
    assert answer_for(model, "ivcore/x", ["move left", "grow", "shrink", "turn", "a thing"], none_wanted) == ""
    assert torch.equal(model(CLIPS), before)


@torch.inference_mode()
def test_some_of_the_taught_classes_keep_their_weights(model):
    before = model(CLIPS)
    said = answer_for(model, "ivcore/x", ["turn", "move left"], none_wanted)
    assert said == "ivcore/x was taught 5 classes: its layer is cut to these 2"
    torch.testing.assert_close(model(CLIPS), before[:, [3, 0]])


def test_a_layer_is_fitted_where_a_class_is_new(model):
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    with torch.no_grad():
        known = read_by_head(model, CLIPS)
    said = answer_for(model, "ivcore/x", ["turn", "move left", "cook"], lambda: (known, labels))
    assert said == "ivcore/x was taught other classes: a linear layer for these 3 was fitted to 6 training clips"
    assert model.num_classes == 3 and torch.equal(model(CLIPS).argmax(1), labels)
