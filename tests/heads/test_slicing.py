"""A cut head gives exactly the picked logits, as a module, as a state dict and after loading a published layout."""

import pytest
import torch

from ivcore.data.labels import kinetics710
from ivcore.data.labels.union import LabelSet, unite
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import ParameterError
from ivcore.heads.slicing import cut

KINETICS = {"k400": list(range(400)), "k600": list(range(100, 700)), "k700": list(range(709, 9, -1))}


def masked(classes=710):
    torch.manual_seed(0)
    return VideoClassifier("tiny", classes, init_scale=1.0, head_drop=0.5).eval()


def multimodal(classes=710):
    torch.manual_seed(0)
    model = UniFormerV2(64, 2, 2, patch=16, image=32, num_classes=classes, global_layers=(1,)).eval()
    torch.nn.init.normal_(model.transformer.proj[2].bias)
    return model


def clip(model):
    size = getattr(model, "size", None)
    return torch.randn(2, 3, size.frames if size else 4, *[size.image if size else 32] * 2)


@pytest.fixture(params=[masked, multimodal])
def model(request):
    return request.param()


def head_of(model):
    return model.head if isinstance(model, VideoClassifier) else model.transformer.proj[2]


def in_steps(x):
    """Multiples of 1/256: sums of their products have no rounding, whatever order a matrix product of another width adds in."""
    return (x * 256).round() / 256


@pytest.mark.parametrize("name", KINETICS)
def test_logits_of_the_cut_model_are_the_picked_ones_exactly(model, name):
    rows, features = KINETICS[name], in_steps(torch.randn(8, head_of(model).in_features))
    for value in head_of(model).parameters():
        value.data = in_steps(value.data)
    with torch.no_grad():
        whole = head_of(model)(features)
        part = head_of(cut(model, rows))(features)
    assert model.num_classes == len(rows)
    assert torch.equal(part, whole[:, rows])


def test_the_whole_model_in_double_precision(model):
    model, video = model.double(), clip(model).double()
    with torch.no_grad():
        whole = model(video)
        part = cut(model, KINETICS["k700"])(video)
    assert (part - whole[:, KINETICS["k700"]]).abs().max() < 1e-14


def test_weights_are_the_picked_ones_bit_for_bit(model):
    kept, others = head_of(model).weight.detach().clone(), len(list(model.parameters()))
    cut(model, [5, 3])
    assert torch.equal(head_of(model).weight, kept[[5, 3]])
    assert len(list(model.parameters())) == others


def test_a_frozen_head_stays_frozen_and_a_bf16_head_bf16():
    model = masked().bfloat16()
    model.head.requires_grad_(False)
    cut(model.train(), [0, 1])
    assert not model.head.weight.requires_grad and model.head.weight.dtype == torch.bfloat16
    assert model.head.training


def test_the_map_of_a_union_picks_each_class_by_name():
    union = unite(
        [LabelSet("own", [], class_names=["Skiing Mono", "balloon_blowing", "bull fighting"])],
        classes=kinetics710.CLASSES,
        renamed=kinetics710.RENAMED,
    )
    model = masked()
    bias = torch.arange(710.0)
    model.head.bias.data.copy_(bias)
    cut(model, union.maps["own"])
    names = [kinetics710.CLASSES[int(row)] for row in model.head.bias]
    assert names == ["skiing mono", "inflating balloons", "bull fighting"]


def test_what_cannot_be_cut_is_named():
    with pytest.raises(ParameterError, match="rows: 710 does not fit a head of 710 classes"):
        cut(masked(), [0, 710])
    with pytest.raises(ParameterError, match="rows: -1 does not fit"):
        cut(masked(), [-1])
    with pytest.raises(ParameterError, match="the same row"):
        cut(masked(), [1, 1])
    with pytest.raises(ParameterError, match="one row or more"):
        cut(masked(), [])
    with pytest.raises(ParameterError, match="MaskedAutoencoder has no classification head"):
        cut(MaskedAutoencoder("tiny"), [0])
