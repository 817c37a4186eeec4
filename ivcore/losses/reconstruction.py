"""Masked pixel reconstruction, as in VideoMAE (arXiv 2203.12602) and InternVideo's masked branch (paper 3.1.1).

The target of a hidden tubelet is its pixels, normalised for each tubelet and channel; the loss is the plain mean
squared error over hidden tubelets. Published default: normalise=True.

    visible, hidden = masking.split(mask)
    loss = reconstruction(model.predict(video, visible, hidden), targets(video, hidden, patch=16))

`hidden` (B, M) are the indices of the hidden tokens, in token order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ivcore.encoders.normalisation import IMAGENET
from ivcore.tubelets import CHANNEL_LAST, gather, scatter_

EPSILON = 1e-6  # added to the standard deviation, not to the variance


def reconstruction(predictions: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of (B, M, P) against (B, M, P), in float32."""
    return F.mse_loss(predictions.float(), target.float())


@torch.no_grad()
def targets(video: Tensor, hidden: Tensor, patch: int = 16, tubelet: int = 2, normalise: bool = True,
            statistics=IMAGENET) -> Tensor:  # fmt: skip
    """Normalised clip (B, 3, T, H, W) and hidden tokens (B, M) -> their targets (B, M, P).

    P = tubelet*patch*patch*3 numbers, laid out (p0 p1 p2 c). Pixels are first mapped back to [0, 1]. With `normalise`,
    each tubelet and channel then has mean 0 and (unbiased) standard deviation 1; a constant one is 0. Only hidden
    tubelets are read.
    """
    pixels = _hidden_pixels(video, hidden, patch, tubelet, statistics)
    if normalise:
        pixels, _, deviation = _centred(pixels)
        pixels = pixels / (deviation + EPSILON)
    return pixels.flatten(2)


@torch.no_grad()
def picture(predictions: Tensor, video: Tensor, hidden: Tensor, patch: int = 16, tubelet: int = 2, normalised: bool = True,
            statistics=IMAGENET) -> Tensor:  # fmt: skip
    """The clip in [0, 1] (B, 3, T, H, W) with its hidden tubelets replaced by the predictions (B, M, P).

    A model trained on normalised pixels predicts neither brightness nor contrast of a tubelet. `normalised` takes both
    from the true pixels of the hidden tubelets, so the picture looks better than the model is. normalised=False is for
    models trained on plain pixels and shows only predictions.
    """
    if normalised:
        _, mean, deviation = _centred(_hidden_pixels(video, hidden, patch, tubelet, statistics))
        colours = rearrange(predictions.float(), "b n (p c) -> b n p c", c=3)
        predictions = (colours * (deviation + EPSILON) + mean).flatten(2)
    clip = _to_pixels(video, statistics)
    return scatter_(clip, (tubelet, patch, patch), hidden, predictions).clamp_(0, 1)


@torch.no_grad()
def blank(
    video: Tensor, hidden: Tensor, patch: int = 16, tubelet: int = 2, grey: float = 0.5, statistics=IMAGENET
) -> Tensor:
    """The clip in [0, 1] (B, 3, T, H, W) with its hidden tubelets grey: the encoder's input."""
    values = torch.full((*hidden.shape, tubelet * patch * patch * 3), grey, device=video.device)
    return scatter_(_to_pixels(video, statistics), (tubelet, patch, patch), hidden, values)


def _hidden_pixels(video, hidden, patch, tubelet, statistics) -> Tensor:
    """Pixels in [0, 1] of the hidden tubelets: (B, M, tubelet*patch*patch, 3)."""
    picked = gather(video, (tubelet, patch, patch), hidden, CHANNEL_LAST)
    picked = rearrange(picked, "b n (p c) -> b n p c", c=3).float()
    mean, std = (picked.new_tensor(values) for values in statistics)
    return picked.mul_(std).add_(mean)


def _centred(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centres pixels (B, M, K, 3) -> pixels minus their mean over K, that mean, the unbiased standard deviation.

    Computed relative to the first pixel, so that a constant tubelet gives exactly 0 and no rounding error is amplified.
    """
    first = pixels[:, :, :1]
    shifted = pixels - first
    variance, mean = torch.var_mean(shifted, dim=2, keepdim=True)
    return shifted.sub_(mean), mean + first, variance.sqrt()


def _to_pixels(video: Tensor, statistics) -> Tensor:
    mean, std = (torch.tensor(values, device=video.device).view(1, 3, 1, 1, 1) for values in statistics)
    return video.float() * std + mean
