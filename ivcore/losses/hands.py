"""Loss for future hand positions: twenty numbers, of which only visible hands count (Ego4D's future hand
prediction).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NUMBERS = 20  # five keyframes, two hands, x and y
SHIFT = 0.2  # of the picture, at most
BETA = 0.05  # of the picture: smaller errors count squared


def hands_loss(model, batch: dict, generator=None) -> tuple[Tensor, dict]:
    """Loss of a batch dict(video, labels (B, 1, 40): 20 positions as shares of the picture, then 1 for each known one,
    else 0) -> (scalar, {off}).

    generator: if given, the batch is augmented with `moved`, as in training. off: the mean distance along one axis, as
    a share of the picture.
    """
    video, (places, known) = batch["video"], batch["labels"][:, 0].float().split(NUMBERS, 1)
    if generator is not None:
        video, places, known = moved(video, places, known, generator)
    found = 0.5 + model(model.prepare(video)).float()
    each = F.smooth_l1_loss(found, places, reduction="none", beta=BETA) * known
    off = ((found - places).abs() * known).sum() / known.sum().clamp_min(1)
    return each.sum() / known.sum().clamp_min(1) / BETA, {"off": off.detach()}


def moved(video: Tensor, places: Tensor, known: Tensor, generator=None) -> tuple[Tensor, Tensor, Tensor]:
    """Shifts the batch at random, and with probability one half mirrors it, which swaps the left and right hand.

    video: uint8 (B, T, H, W, 3), filled by repeating its border. places, known: (B, 20).
    """
    size = torch.tensor(video.shape[2:4]).flip(0)
    far = (torch.rand(2, generator=generator) * 2 - 1) * SHIFT
    shift = (far * size).round().long().tolist()  # pixels to the right, and down
    columns, rows = ((torch.arange(n) - s).clamp(0, n - 1).to(video.device) for n, s in zip(size.tolist(), shift))
    video = video[:, :, rows][:, :, :, columns]
    places = places.unflatten(1, (-1, 2, 2)) + (torch.tensor(shift) / size).to(places)
    known = known.unflatten(1, (-1, 2, 2)) * ((places > 0) & (places < 1)).all(-1, keepdim=True)
    if torch.rand((), generator=generator) < 0.5:
        video, known = video.flip(3), known.flip(2)
        places = places.flip(2) * places.new_tensor([-1, 1]) + places.new_tensor([1, 0])
    return video, places.flatten(1), known.flatten(1)
