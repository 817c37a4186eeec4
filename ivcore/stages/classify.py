"""Classifying clips as a stage: the model, its loss, and the order in which it sees the frames (paper 3.2, 4.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore import rng, weights
from ivcore.data.shapes import scenes
from ivcore.encoders.checkpointing import set_activation_checkpointing
from ivcore.errors import ParameterError
from ivcore.heads import slicing
from ivcore.heads.classifier import classifier
from ivcore.losses.classification import classification
from ivcore.stages.inherited_head import inherited_head
from ivcore.video import sampling


def load_classifier(
    place, classes: Sequence[str], *, keep_head: bool = False, activation_checkpointing: str = "nothing", **shape
) -> nn.Module:
    """The pretrained encoder at `place` with a classification layer for these classes; `shape` goes to
    `heads.classifier`.

    keep_head: start from the encoder's own layer, cut to the classes by name (see `stages.inherited_head`); otherwise
    it is fresh. ParameterError if place is None.
    """
    if place is None:
        raise ParameterError(
            "encoder: must be a run, a checkpoint or a published name; scratch has nothing to start from"
        )
    loaded = weights.load(place)
    layer = inherited_head(loaded, place, classes) if keep_head else None
    model = classifier(loaded, len(classes), **shape)
    if layer is not None:
        slicing.head(model).load_state_dict(layer.state_dict())
    set_activation_checkpointing(model, activation_checkpointing)
    return model


def frame_sampler(frame_sampling: str, num_frames: int, stride: int = 1, multimodal_frames: int = 0) -> Callable | None:
    """The frame sampler of training clips for "segment" or "segment_shared"; None for "dense", which sources sample
    themselves.

    multimodal_frames: append this many sparse frames of the whole video to the dense ones.
    """
    if multimodal_frames:
        return partial(sampling.dense_and_segment, num_dense=num_frames, stride=stride, num_segments=multimodal_frames)
    samplers = {"segment": sampling.segment, "segment_shared": sampling.segment_shared}
    return None if frame_sampling == "dense" else partial(samplers[frame_sampling], num_frames=num_frames)


def classification_loss(num_classes: int, *, frame_order: str = "ordered", **how) -> Callable:
    """loss(model, batch, generator) for `train`: cross-entropy on clips shown in `frame_order`, see `order_frames`.

    how: mixup, cutmix and label_smoothing of `losses.classification`.
    """

    def loss(model, batch, generator):
        shown = partial(order_frames, frame_order=frame_order, generator=generator)
        return classification(model, batch, num_classes=num_classes, transform=shown, **how)

    return loss


def reversal_loss(
    partner: Tensor, *, reversals: float, label_smoothing: float = 0.0, frame_order: str = "ordered"
) -> Callable:
    """loss(model, batch, generator) for `train`: smoothed cross-entropy; a share `reversals` of the clips is played
    backwards.

    partner int64 (K,): the class that each class becomes when played backwards, or itself if there is none; such clips
    are never reversed.
    """

    def loss(model, batch, generator):
        video, label = model.prepare(batch["video"]), batch["label"]
        other = partner.to(label.device)[label]
        chance = rng.rows(lambda count: torch.rand(count, generator=generator), len(label), generator)
        turned = chance.to(label.device) < reversals
        turned = turned & (other != label)
        video = torch.where(turned.view(-1, 1, 1, 1, 1), video.flip(2), video)
        shuffled = order_frames(video, "shuffled", generator)  # always drawn: all orders get the same reversals
        video = shuffled if frame_order == "shuffled" else order_frames(video, frame_order)
        label = torch.where(turned, other, label)
        return F.cross_entropy(model(video), label, label_smoothing=label_smoothing), {}

    return loss


def order_frames(video: Tensor, frame_order: str, generator: torch.Generator | None = None) -> Tensor:
    """Prepared clips (B, 3, T, H, W) with frames "ordered", "shuffled" separately in each clip, or "single": one frame,
    repeated.

    "ordered" draws no random numbers.
    """
    if frame_order == "ordered":
        return video
    device = generator.device if generator is not None else None
    draw = lambda count: torch.rand(count, video.shape[2], generator=generator, device=device)  # noqa: E731
    noise = rng.rows(draw, len(video), generator).to(video.device)
    if frame_order == "shuffled":
        order = noise.argsort(1)
    else:
        order = noise.argmax(1, keepdim=True).expand(-1, video.shape[2])
    return torch.stack([clip[:, frames] for clip, frames in zip(video, order)])


def order_pairs(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of labels of the moving shapes whose actions are each other's time reversal, both among `classes`."""
    names = list(classes)
    return [(names.index(a), names.index(b)) for a, b in scenes.ORDER_PAIRS if {a, b} <= set(names)]


def partners(classes: Sequence[str]) -> Tensor:
    """int64 (K,): the class that each class becomes when played backwards, or itself; for `reversal_loss`."""
    partner = torch.arange(len(classes))
    for a, b in order_pairs(classes):
        partner[a], partner[b] = b, a
    return partner
