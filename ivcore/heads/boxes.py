"""Action logits for given boxes: RoIAlign over a clip's feature map, then a linear layer (paper 4.3.1, AVA).

The map is the mean over time of the encoder's tokens. Each channel's maximum is taken over the 7 x 7 samples in a box,
as published.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import VideoClassifier

SAMPLES = 7  # samples along each side of a box


class BoxClassifier(nn.Module):
    """Logits of every box of a clip; `encoder` is a model from `heads.classifier.classifier`, whose last layer is used
    too.

    `m(video (B, 3, T, H, W), boxes (B, P, 4), there bool (B, P))` gives logits (M, K) of the M boxes that are there,
    clip by clip. Boxes are x1, y1, x2, y2 as shares of the picture.
    """

    def __init__(self, encoder: VideoClassifier | UniFormerV2):
        super().__init__()
        self.encoder = encoder

    def forward(self, video: Tensor, boxes: Tensor, there: Tensor) -> Tensor:
        return self.encoder.classify(self.in_boxes(self.feature_map(video), boxes, there))

    def feature_map(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, D, h, w)."""
        return rearrange(self.tokens(video).mean(1), "b h w d -> b d h w")

    def tokens(self, video: Tensor) -> Tensor:
        """Video (B, 3, T, H, W) -> (B, t, h, w, D). Normalises a masked encoder's tokens here; a multimodal encoder's
        are normalised after pooling.
        """
        encoder = self.encoder
        if isinstance(encoder, UniFormerV2):
            return rearrange(encoder.encode(video)[1][:, :, 1:], "b t (h w) d -> b t h w d", h=encoder.grid[0])
        time, height, _ = encoder.grid
        return rearrange(encoder.fc_norm(encoder.encode(video)), "b (t h w) d -> b t h w d", t=time, h=height)

    @staticmethod
    def in_boxes(features: Tensor, boxes: Tensor, there: Tensor) -> Tensor:
        """Map (B, D, h, w) and boxes (B, P, 4), of which those `there` count -> (M, D).

        Uses torchvision's `aligned`, with coordinates in whole cells. The published code's RoIAlign omits its shift by
        half a cell, so it samples half a cell to the lower right; a head trained there sees other features here.
        """
        from torchvision.ops import roi_align

        height, width = features.shape[-2:]
        cells = boxes.to(features) * features.new_tensor([width, height, width, height])
        listed = [mine[shown] for mine, shown in zip(cells, there)]
        finest = -(-max(height, width) // SAMPLES)  # points along a sample's side in a box as large as the picture
        with torch.compiler.set_stance(
            "force_eager"
        ):  # without torchvision's operators it would compile their Python version
            return roi_align(features, listed, SAMPLES, sampling_ratio=finest, aligned=True).amax((2, 3))

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W), as the encoder does."""
        return self.encoder.prepare(clips)

    @property
    def num_classes(self) -> int:
        return self.encoder.num_classes

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay, in timm's form; see the encoder."""
        return {f"encoder.{name}" for name in self.encoder.no_weight_decay()}

    def group_matcher(self, coarse: bool = False) -> dict:
        """The layer of each parameter for layer-wise learning rates, in timm's form; see the encoder."""
        groups = self.encoder.group_matcher(coarse)
        blocks = [(pattern.replace("^", r"^encoder\."), order) for pattern, order in groups["blocks"]]
        return {"stem": groups["stem"].replace("^", r"^encoder\."), "blocks": blocks}
