"""What a classifier is shown and trained on: frames in an order, and clips that run backwards under their partner's name."""

import pytest
import torch
from torch import nn

from ivcore.stages import classify

CLASSES = ["grow", "orbit", "shrink"]
VIDEO = torch.arange(8.0).reshape(1, 1, 8, 1, 1).expand(3, 3, 8, 2, 2)


@pytest.mark.parametrize("order, frames", [("ordered", list(range(8))), ("shuffled", None), ("single", None)])
def test_frames_come_in_the_order_asked_for(order, frames):
    shown = classify.order_frames(VIDEO, order, torch.Generator().manual_seed(0))[:, 0, :, 0, 0]
    if order == "ordered":
        assert shown[0].tolist() == frames
    elif order == "shuffled":
        assert all(sorted(clip.tolist()) == list(range(8)) and clip.tolist() != list(range(8)) for clip in shown)
    else:
        assert all(len(clip.unique()) == 1 for clip in shown)


def test_partners_are_each_others_reversal():
    assert classify.order_pairs(CLASSES) == [(0, 2)] and classify.partners(CLASSES).tolist() == [2, 1, 0]


class Recorder(nn.Module):
    """Keeps what it is shown, and is sure of class 0."""

    def prepare(self, video):
        return video.permute(0, 4, 1, 2, 3).float()

    def forward(self, video):
        self.video = video
        return torch.tensor([[50.0, 0.0, 0.0]]).repeat(len(video), 1)


@pytest.mark.parametrize("order", ["ordered", "shuffled"])
def test_a_reversed_clip_carries_its_partners_name(order):
    model, video = Recorder(), VIDEO.permute(0, 2, 3, 4, 1).byte()
    batch = {"video": video, "label": torch.tensor([2, 2, 1])}
    loss = classify.reversal_loss(classify.partners(CLASSES), reversals=1.0, frame_order=order)
    value, _ = loss(model, batch, torch.Generator().manual_seed(0))
    assert value.item() == pytest.approx(50 / 3)  # the two of class 2 became 0; class 1 has no partner
    if order == "ordered":
        frames = model.video[:, 0, :, 0, 0].tolist()
        assert frames[0] == list(range(7, -1, -1)) and frames[2] == list(range(8))
