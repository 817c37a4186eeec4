"""Where hands will be: twenty numbers, of which those count whose hand is seen (Ego4D's future hand prediction)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

NUMBERS = 20  # five keyframes, two hands, x and y
BETA = 0.05  # of the picture: errors below it count squared


def hands_loss(model, batch: dict, generator=None) -> tuple[Tensor, dict]:
    """Of a batch dict(video, labels (B, 1, 40): 20 places in shares of the picture, and 1 for each that is known, else 0) -> (scalar, {off}).

    off: the mean distance along one axis, in shares of the picture.
    """
    del generator
    places, known = batch["labels"][:, 0].float().split(NUMBERS, 1)
    found = 0.5 + model(model.prepare(batch["video"])).float()
    each = F.smooth_l1_loss(found, places, reduction="none", beta=BETA) * known
    off = ((found - places).abs() * known).sum() / known.sum().clamp_min(1)
    return each.sum() / known.sum().clamp_min(1) / BETA, {"off": off.detach()}
