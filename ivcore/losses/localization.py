"""ActionFormer's training loss: assigns moments to events, with a focal loss for classes and a DIoU loss for the ends
of segments.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_ALIKE = 1e-3  # events whose lengths differ by less count as equally short


def localization_loss(
    model, batch: dict, generator=None, *, loss_weight: float = 1.0, label_smoothing: float = 0.0, center_sample_radius: float = 1.5
) -> tuple[Tensor, dict]:  # fmt: skip
    """Loss of a batch dict(features (B, T, C), mask bool (B, T), segments: B of (n, 2) in steps of the features,
    labels: B of (n,)).

    -> (scalar, {cls_loss, reg_loss}). Both losses are sums over moments, divided by `model.loss_normalizer`, a running
    mean of the number of positive moments, which is updated in training mode.
    """
    del generator
    moments = model(batch["features"], batch["mask"])
    pairs = [
        targets(moments.points, segments.to(moments.points), labels, model.num_classes, center_sample_radius)
        for segments, labels in zip(batch["segments"], batch["labels"])
    ]
    classes, ends = (torch.stack(column) for column in zip(*pairs))
    positive = (classes.sum(-1) > 0) & moments.mask
    if model.training:
        model.loss_normalizer.mul_(0.9).add_(0.1 * positive.sum().clamp_min(1))
    smoothed = classes * (1 - label_smoothing) + label_smoothing / (model.num_classes + 1)
    focal = focal_loss(moments.logits[moments.mask], smoothed[moments.mask]).sum()
    diou = diou_loss(moments.offsets[positive], ends[positive]).sum()
    focal, diou = focal / model.loss_normalizer, diou / model.loss_normalizer
    return focal + loss_weight * diou, {"cls_loss": focal.detach(), "reg_loss": diou.detach()}


@torch.no_grad()
def targets(
    points: Tensor, segments: Tensor, labels: Tensor, num_classes: int, radius: float = 1.5
) -> tuple[Tensor, Tensor]:
    """points (P, 4), see `heads.actionformer.Moments`; events segments (n, 2) and labels (n,) -> classes (P, K) of 0
    and 1, offsets (P, 2) in strides.

    A moment is assigned to an event if it is less than `radius` strides from the event's middle, strictly inside the
    event, and the farther end is in the moment's range. Of several events the shortest counts. Offsets have no meaning
    where no class is 1.
    """
    if not len(segments):
        return points.new_zeros(len(points), num_classes), points.new_zeros(len(points), 2)
    time, low, high, stride = (column[:, None] for column in points.unbind(1))
    start, end = segments.unbind(1)
    middle = (start + end) / 2
    inside = (time > torch.maximum(start, middle - radius * stride)) & (
        time < torch.minimum(end, middle + radius * stride)
    )
    farther = torch.maximum(time - start, end - time)
    fits = inside & (farther >= low) & (farther <= high)
    length = torch.where(fits, (end - start).expand(fits.shape), torch.inf)
    shortest, which = length.min(1)
    chosen = fits & (length <= shortest[:, None] + _ALIKE)
    classes = chosen.to(points.dtype) @ F.one_hot(labels.to(points.device), num_classes).to(points.dtype)
    offsets = torch.stack((time[:, 0] - start[which], end[which] - time[:, 0]), 1) / stride
    return classes.clamp(max=1), offsets


def focal_loss(logits: Tensor, wanted: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid cross-entropy that gives easy examples a small weight (arXiv 1708.02002): (..., K) -> (..., K), in
    float32.
    """
    logits, wanted = logits.float(), wanted.float()
    chance = logits.sigmoid()
    missed = chance * (1 - wanted) + (1 - chance) * wanted
    weight = alpha * wanted + (1 - alpha) * (1 - wanted)
    return weight * missed**gamma * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


def diou_loss(offsets: Tensor, wanted: Tensor) -> Tensor:
    """1 - IoU plus the squared distance of the middles relative to the enclosing segment; offsets (N, 2) to start and
    end from one point -> (N,).
    """
    offsets, wanted = offsets.float(), wanted.float()
    shared = torch.minimum(offsets, wanted).sum(1)
    union = offsets.sum(1) + wanted.sum(1) - shared
    hull = torch.maximum(offsets, wanted).sum(1)
    apart = 0.5 * (offsets[:, 1] - offsets[:, 0] - wanted[:, 1] + wanted[:, 0])
    return 1 - shared / union.clamp_min(1e-8) + (apart / hull.clamp_min(1e-8)) ** 2


def collate(model, items: Sequence[dict]) -> dict:
    """Items dict(features (T, C), segments (n, 2), labels (n,)) -> a batch for `localization_loss`."""
    features, mask = model.pad([item["features"] for item in items])
    lists = {name: [item[name] for item in items] for name in ("segments", "labels")}
    return {"features": features, "mask": mask, **lists}
