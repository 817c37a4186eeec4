"""A head is taken over by the names of its classes: from a run of notebook 12, or from Kinetics-710 in the published order."""

import pytest
import torch

from ivcore.data import formats
from ivcore.data.labels import kinetics710
from ivcore.encoders.videomae import VideoClassifier
from ivcore.errors import ParameterError
from ivcore.stages.inherited_head import inherited_head
from ivcore.train import save_weights
from ivcore.weights.usage import Usage


def model(classes):
    torch.manual_seed(0)
    return VideoClassifier("tiny", classes, init_scale=1.0)


def run_of_12(folder, names):
    (folder / "union").mkdir(parents=True)
    formats.write_class_names(folder / "union" / "classes.txt", names)
    (folder / "checkpoints").mkdir()
    return folder


@pytest.mark.parametrize("part", ["", "checkpoints/model.safetensors"])
def test_rows_are_picked_by_the_names_of_the_run(tmp_path, part):
    folder = run_of_12(tmp_path / "run", ["grow", "large cyan thing", "slide left"])
    pretrained = model(3)
    whole = pretrained.head.weight.detach().clone()
    layer = inherited_head(pretrained, folder / part, ["Slide_Left", "grow"])
    assert torch.equal(layer.weight, whole[[2, 0]]) and layer.bias.shape == (2,)
    with pytest.raises(ParameterError, match="class 'shrink' is not among the 3"):
        inherited_head(model(3), folder, ["shrink"])


def test_a_file_alone_names_its_rows(tmp_path):
    pretrained = model(2)
    whole = pretrained.head.weight.detach().clone()
    used = Usage(32, 8, classes=("grow", "slide left")).saved(pretrained)
    file = save_weights(pretrained, tmp_path / "elsewhere.safetensors", pretrained.config | used)
    assert torch.equal(inherited_head(pretrained, file, ["Slide_Left"]).weight, whole[[1]])


def test_a_file_with_710_rows_has_the_classes_of_kinetics_in_the_published_order(tmp_path):
    pretrained, names = model(710), kinetics710.CLASSES[:400]
    whole = pretrained.head.weight.detach().clone()
    assert torch.equal(inherited_head(pretrained, tmp_path / "k710.pth", names).weight, whole[:400])
    older, later = next(iter(kinetics710.RENAMED.items()))
    row = [name.casefold() for name in kinetics710.CLASSES].index(later)
    assert torch.equal(inherited_head(model(710), "k710", [older]).weight, whole[[row]])


def test_where_nothing_says_what_the_rows_are_it_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="nothing says what the 400 classes of"):
        inherited_head(model(400), tmp_path / "k400.pth", ["abseiling"])
    with pytest.raises(ParameterError, match="has no classification head"):
        inherited_head(torch.nn.Identity(), tmp_path, ["abseiling"])
