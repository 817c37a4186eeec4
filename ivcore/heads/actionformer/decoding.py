"""From what ActionFormer says of every moment to a short list of scored segments: thresholds, non-maximum suppression, voting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ivcore.errors import ParameterError
from ivcore.heads.actionformer.model import Moments

_POINT = 1e-6  # length that suppression gives to a segment of length 0


@dataclass(frozen=True)
class Decoding:
    """Fields have the names of the published configuration; times are in steps of the features.

    nms_method: soft (scores of overlapping segments fall by exp(-iou^2 / nms_sigma)), hard (those with iou >= iou_threshold go) or none.
    voting: score_iou, what ActionFormer's release does, or score, InternVideo's copy: how the candidates with iou >= voting_thresh that move
    a kept segment are weighted. Voting looks at no classes, so it needs multiclass_nms off.
    """

    pre_nms_thresh: float = 0.001
    pre_nms_topk: int = 2000
    duration_thresh: float = 0.05
    nms_method: str = "soft"
    nms_sigma: float = 0.5
    iou_threshold: float = 0.1
    min_score: float = 0.001
    max_seg_num: int = 200
    multiclass_nms: bool = True
    voting: str = "score_iou"
    voting_thresh: float = 0.0

    def __post_init__(self):
        for name, allowed in (("nms_method", ("soft", "hard", "none")), ("voting", ("score_iou", "score"))):
            if getattr(self, name) not in allowed:
                raise ParameterError(f"{name}={getattr(self, name)!r}: must be one of {', '.join(allowed)}")


def decode(moments: Moments, how: Decoding) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each video of a batch (segments (n, 2) in steps of the features, scores (n,), labels (n,)), best first."""
    return [suppress(*candidates(moments, row, how), how) for row in range(len(moments.mask))]


def candidates(moments: Moments, row: int, how: Decoding) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates of video `row` before suppression: the best (moment, class) pairs of each scale, in float32 on the CPU."""
    parts = []
    columns = (moments.points, moments.logits[row], moments.offsets[row], moments.mask[row])
    for points, logits, offsets, mask in zip(*(column.float().cpu().split(moments.sizes) for column in columns)):
        chances = (logits.sigmoid() * mask[:, None]).flatten()
        order = chances.argsort(descending=True, stable=True)[: how.pre_nms_topk]
        order = order[chances[order] > how.pre_nms_thresh]
        place, label = order // logits.shape[1], order % logits.shape[1]
        reach = offsets[place] * points[place, 3:]
        segments = points[place, :1] + reach * torch.tensor([-1.0, 1.0])
        long = segments[:, 1] - segments[:, 0] > how.duration_thresh
        parts.append((segments[long], chances[order][long], label[long]))
    segments, scores, labels = (torch.cat(column) for column in zip(*parts))
    return segments, scores, labels


def suppress(segments: Tensor, scores: Tensor, labels: Tensor, how: Decoding) -> tuple[Tensor, Tensor, Tensor]:
    """At most max_seg_num of the candidates, best first, after suppression within each class or over all, and voting."""
    groups = [labels == label for label in labels.unique()] if how.multiclass_nms else [labels >= 0]
    kept, fallen = [torch.empty(0, dtype=torch.long)], [scores[:0]]
    for group in groups if how.nms_method != "none" else ():
        rows = group.nonzero()[:, 0]
        places, left = _suppress(segments[rows], scores[rows], how)
        kept.append(rows[places])
        fallen.append(left)
    rows, left = torch.cat(kept), torch.cat(fallen)
    if how.nms_method == "none":
        rows, left = torch.arange(len(scores)), scores
    chosen = segments[rows]
    if how.voting_thresh > 0 and not how.multiclass_nms and len(rows):
        chosen = vote(chosen, segments, scores, how)
    order = left.argsort(descending=True, stable=True)[: how.max_seg_num]
    return chosen[order], left[order], labels[rows[order]]


def _suppress(segments: Tensor, scores: Tensor, how: Decoding) -> tuple[Tensor, Tensor]:
    """Takes the best of what is left again and again, and lowers the rest by its overlap with it. -> (rows, their scores), falling."""
    alive = scores > how.min_score if how.nms_method == "hard" else torch.ones_like(scores, dtype=torch.bool)
    left, rows, taken = scores.clone(), [], []
    while alive.any() and len(rows) < how.max_seg_num:
        best = int(left.masked_fill(~alive, -1).argmax())
        rows.append(best)
        taken.append(left[best])
        alive[best] = False
        iou = _overlap(segments[best : best + 1], segments, _POINT)[0]
        if how.nms_method == "hard":
            alive &= iou < how.iou_threshold
        else:
            left = left * torch.exp(-(iou**2) / how.nms_sigma)
            alive &= left >= how.min_score
    return torch.tensor(rows, dtype=torch.long), torch.stack(taken) if taken else scores[:0]


def vote(chosen: Tensor, segments: Tensor, scores: Tensor, how: Decoding) -> Tensor:
    """Each chosen segment (n, 2) becomes the weighted mean of the candidates (N, 2) that overlap it by voting_thresh or more."""
    iou = _overlap(chosen, segments)
    weight = (iou >= how.voting_thresh) * scores * (iou if how.voting == "score_iou" else 1)
    return weight / weight.sum(1, keepdim=True) @ segments


def _overlap(a: Tensor, b: Tensor, point: float = 0.0) -> Tensor:
    """Temporal IoU of (N, 2) and (M, 2) -> (N, M)."""
    shared = (torch.minimum(a[:, None, 1], b[:, 1]) - torch.maximum(a[:, None, 0], b[:, 0])).clamp_min(0)
    length = [part[:, 1] - part[:, 0] + point for part in (a, b)]
    return shared / (length[0][:, None] + length[1] - shared)
