"""Several actions at once in every box: a sigmoid and a binary cross-entropy for each (paper 4.3.1, AVA)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def box_loss(model, batch: dict, generator=None) -> tuple[Tensor, dict]:
    """Loss of a batch dict(video uint8 (B, T, H, W, 3), boxes (B, P, 4), there bool (B, P), labels (B, P, K) of 0 and
    1) -> (scalar, {boxes}).

    The mean over classes is summed over the boxes of a clip and averaged over clips, so pieces of a batch can be
    averaged. As published, every box of a batch has the same weight. The published value, a mean over boxes times the
    number of clips, differs by a factor.
    """
    video = model.prepare(batch["video"])
    there = batch["there"]
    logits = model(video, batch["boxes"], there)
    wrong = F.binary_cross_entropy_with_logits(logits.float(), batch["labels"][there].float(), reduction="none")
    return wrong.mean(1).sum() / len(video), {"boxes": there.sum().float() / len(video)}
