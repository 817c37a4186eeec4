"""A box's logits come from what the feature map has in it, for either encoder; a detector runs with random weights."""

import pytest
import torch

from ivcore import torchvision_shim
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedVideoEncoder
from ivcore.errors import UserError
from ivcore.heads.boxes import BoxClassifier
from ivcore.heads.classifier import classifier
from ivcore.heads.person_detector import PersonDetector
from ivcore.losses.boxes import box_loss
from ivcore.train.optim import optimizer_of
from ivcore.train.recipe import Recipe

WHOLE, LEFT, RIGHT = [0.0, 0, 1, 1], [0.0, 0, 0.5, 1], [0.5, 0, 1.0, 1]


def masked():
    return classifier(MaskedVideoEncoder("tiny", depth=2, frames=4, image=32, patch=8), 5, frames=4, image=32)


def multimodal():
    return UniFormerV2(64, 2, 2, 8, 32, num_classes=5, global_layers=[1], head_drop=0.0)


@pytest.fixture(params=[masked, multimodal])
def model(request):
    torch.manual_seed(0)
    return BoxClassifier(request.param()).eval()


def batch(boxes, there):
    video = torch.randint(256, (len(boxes), 4, 32, 32, 3), dtype=torch.uint8)
    boxes, there = torch.tensor(boxes), torch.tensor(there)
    return {"video": video, "boxes": boxes, "there": there, "labels": torch.zeros(*there.shape, 5)}


def test_logits_of_the_boxes_that_are_there(model):
    given = batch([[LEFT, RIGHT], [WHOLE, WHOLE]], [[True, True], [True, False]])
    assert model.feature_map(model.prepare(given["video"])).shape[-2:] == (4, 4)
    logits = model(model.prepare(given["video"]), given["boxes"], given["there"])
    alone = model(model.prepare(given["video"][:1]), given["boxes"][:1, 1:], given["there"][:1, 1:])
    assert logits.shape == (3, 5)
    torch.testing.assert_close(logits[1:2], alone, rtol=1e-4, atol=1e-6)


def test_the_largest_value_in_the_box_counts():
    features = torch.zeros(1, 1, 8, 8)
    features[..., 0, 6] = 5.0
    values = BoxClassifier.in_boxes(features, torch.tensor([[LEFT, RIGHT, WHOLE]]), torch.ones(1, 3, dtype=torch.bool))
    assert values[0] == 0 and values[1] > 2 and values[2] > 2


def test_one_feature_all_over_is_the_feature_of_every_box():
    features = torch.arange(3.0).view(1, 3, 1, 1).expand(2, 3, 4, 6)
    values = BoxClassifier.in_boxes(features, torch.tensor([[LEFT, RIGHT]] * 2), torch.ones(2, 2, dtype=torch.bool))
    torch.testing.assert_close(values, torch.arange(3.0).expand(4, 3))


def test_the_loss_is_the_mean_over_the_clips_and_ignores_padding(model):
    given = batch([[LEFT, RIGHT], [WHOLE, WHOLE]], [[True, True], [True, False]])
    given["labels"][0, 0, 2] = 1
    whole, numbers = box_loss(model, given)
    pieces = [box_loss(model, {k: v[i : i + 1] for k, v in given.items()})[0] for i in range(2)]
    torch.testing.assert_close(whole, sum(pieces) / 2, rtol=1e-4, atol=1e-6)
    given["boxes"][1, 1], given["labels"][1, 1] = 0.3, 1
    torch.testing.assert_close(box_loss(model, given)[0], whole, rtol=1e-4, atol=1e-6)
    assert float(numbers["boxes"]) == 1.5


def test_layers_learn_at_their_own_rates(model):
    recipe = Recipe(batch_size=1, lr=1.0, steps=1, weight_decay=0.1, layer_decay=0.5)
    groups, names = optimizer_of(model, recipe).param_groups, {id(p): name for name, p in model.named_parameters()}
    rates = {names[id(p)]: group.get("lr_scale", 1.0) for group in groups for p in group["params"]}
    assert len(set(rates.values())) == 4 and min(rates.values()) == 0.125
    last = [rate for name, rate in rates.items() if name.startswith(("encoder.head.", "encoder.transformer.proj."))]
    assert last and set(last) == {1}


def test_a_detector_gives_boxes_of_people_in_the_picture():
    """Weights are random except in the last layers, which find a person everywhere."""
    torch.manual_seed(0)
    detector = PersonDetector(least_score=0.05, short_side=32)
    network = detector.network
    for layer in (
        network.rpn.head.bbox_pred,
        network.roi_heads.box_predictor.bbox_pred,
        network.roi_heads.box_predictor.cls_score,
    ):
        torch.nn.init.zeros_(layer.weight)
    network.roi_heads.box_predictor.cls_score.bias.data[1] = 9.0
    boxes, scores = detector.people(torch.randint(256, (48, 64, 3), dtype=torch.uint8).numpy())
    assert len(boxes) and boxes.shape == (len(scores), 4) and scores.min() > 0.9
    assert boxes.min() >= 0 and boxes.max() <= 1 and (boxes[:, 2:] >= boxes[:, :2]).all()


def test_overlapping_boxes_are_suppressed():
    from torchvision.ops import nms

    torchvision_shim.allow_nms()
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 4], [20, 20, 30, 30]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.3, 0.1]), 0.5).tolist() == [1, 2, 3]
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.3, 0.1]), 0.39).tolist() == [1, 3]
    assert nms(boxes[:0], torch.zeros(0), 0.5).tolist() == []


def test_weights_of_something_else_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not a checkpoint of torchvision's fasterrcnn_resnet50_fpn"):
        PersonDetector(tmp_path / "other.pth")
