"""Normalises uint8 frames as in an encoder's training. The three encoders have different statistics; the wrong one costs accuracy."""

from __future__ import annotations

import torch
from torch import Tensor

from ivcore.errors import ParameterError

# (mean, std) of red, green, blue in [0, 1]
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # masked video encoder
HALF = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)  # UniFormerV2
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP and InternVideo-MM


def normalise(clips: Tensor, statistics, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W), on the clips' device. ParameterError for another shape or type.

    The result keeps the channels-last memory layout of the frames (strides, no copy), which the tubelet gathering reads directly.
    """
    if clips.dtype != torch.uint8 or clips.dim() != 5 or clips.shape[-1] != 3:
        raise ParameterError(f"clips: expected uint8 (B, T, H, W, 3), got {clips.dtype} {tuple(clips.shape)}")
    mean, std = (torch.tensor(values, device=clips.device) * 255 for values in statistics)
    return clips.float().sub_(mean).div_(std).to(dtype).permute(0, 4, 1, 2, 3)
