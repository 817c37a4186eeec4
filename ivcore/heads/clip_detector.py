"""A detector of boxes on a clip's middle frame: torchvision's region proposals and box head over the map of a video
encoder (Ego4D's state-change objects).

Only the map differs: it is the encoder's tokens averaged over time, so detection uses motion as well as appearance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore import torchvision_shim
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.heads.boxes import BoxClassifier

SIZES = (0.12, 0.2, 0.32)  # sizes of anchors, as shares of the picture
RATIOS = (0.5, 1.0, 2.0)


class ClipDetector(BoxClassifier):
    """`encoder`: as in `BoxClassifier`; its last layer is not used. classes: number of kinds of boxes, numbered from 0.

    `m.losses(video (B, 3, T, H, W), boxes (B, P, 4), there (B, P), labels (B, P))` gives the four losses of Faster
    R-CNN, `m.detect(video)` for each clip (boxes (n, 4), classes (n,), scores (n,)), best first. Boxes are shares of
    the picture.
    """

    def __init__(self, encoder, classes: int, width: int = 128, most: int = 20, finer: int = 2):
        super().__init__(encoder)
        from torchvision.models.detection.anchor_utils import AnchorGenerator
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
        from torchvision.models.detection.roi_heads import RoIHeads
        from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

        torchvision_shim.allow_nms()
        channels = len(encoder.class_embedding) if isinstance(encoder, UniFormerV2) else encoder.size.width
        self.finer = nn.Sequential(
            nn.Upsample(scale_factor=finer, mode="bilinear"), nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(8, width), nn.ReLU()
        )  # fmt: skip
        self.scale = 256  # nominal picture size in pixels; torchvision's anchors and smallest boxes are in pixels
        sizes = (tuple(self.scale * size for size in SIZES),)
        anchors = AnchorGenerator(sizes, (RATIOS,))
        few = {"training": 100, "testing": 50}
        self.proposals = RegionProposalNetwork(
            anchors, RPNHead(width, anchors.num_anchors_per_location()[0]), 0.6, 0.3, 64, 0.5, few, few, 0.7
        )  # fmt: skip
        self.boxes = RoIHeads(
            RoIAlign(5), TwoMLPHead(width * 25, width), FastRCNNPredictor(width, classes + 1),
            0.5, 0.5, 32, 0.25, None, 0.01, 0.5, most,
        )  # fmt: skip

    def losses(self, video: Tensor, boxes: Tensor, there: Tensor, labels: Tensor) -> dict[str, Tensor]:
        targets = [
            {"boxes": self.scale * mine[shown].float(), "labels": kinds[shown] + 1}
            for mine, shown, kinds in zip(boxes, there, labels)
        ]
        with torch.compiler.set_stance("force_eager"):  # see heads.boxes
            maps, pictures = self._maps(video)
            proposals, first = self.proposals(pictures, maps, targets)
            _, second = self.boxes(maps, proposals, pictures.image_sizes, targets)
        return first | second

    def detect(self, video: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        with torch.compiler.set_stance("force_eager"):
            maps, pictures = self._maps(video)
            proposals, _ = self.proposals(pictures, maps)
            found, _ = self.boxes(maps, proposals, pictures.image_sizes)
        return [(each["boxes"] / self.scale, each["labels"] - 1, each["scores"]) for each in found]

    def _maps(self, video: Tensor):
        from torchvision.models.detection.image_list import ImageList

        maps = self.finer(self.feature_map(video).float())
        pictures = maps.new_empty(len(video), 1, self.scale, self.scale)
        return {"0": maps}, ImageList(pictures, [(self.scale, self.scale)] * len(video))


class RoIAlign(nn.Module):
    """Torchvision's `roi_align(aligned=True)` on a single map, instead of `MultiScaleRoIAlign(["0"], size, samples)`.

    MultiScaleRoIAlign rounds the map's scale to a power of two, so on a map of 12 for 256 pixels it samples a third too
    far to the lower right. It is also not aligned, which adds half a cell. This version is also much faster where
    compiled operators do not load.
    """

    def __init__(self, size: int, samples: int = 2):
        super().__init__()
        self.output_size, self.samples = (size, size), samples

    def forward(self, maps: dict[str, Tensor], boxes: list[Tensor], sizes: list[tuple[int, int]]) -> Tensor:
        """Maps {"0": (B, C, H, W)} and for each picture boxes (n, 4) in pixels of its size (height, width) -> (sum of
        n, C, size, size).
        """
        count, parts = self.output_size[0] * self.samples, []
        for each, mine, pixels in zip(maps["0"], boxes, sizes):
            side = each.new_tensor(each.shape[:0:-1])  # width, height
            corners = (mine / each.new_tensor(pixels[::-1]).repeat(2) * side.repeat(2)).unflatten(1, (2, 2))
            steps = (torch.arange(count, device=each.device) + 0.5) / count
            places = corners[:, None, 0] + steps[:, None] * (corners[:, 1] - corners[:, 0])[:, None]
            x, y = (2 * places / side - 1).unbind(-1)  # (n, count) each
            grid = torch.stack(torch.broadcast_tensors(x[:, None], y[:, :, None]), -1).flatten(0, 1)
            found = F.grid_sample(each[None], grid[None], padding_mode="border", align_corners=False)[0]
            parts.append(F.avg_pool2d(found.unflatten(1, (len(mine), count)).transpose(0, 1), self.samples))
        return torch.cat(parts)


def detector_loss(model, batch: dict, generator=None) -> tuple[Tensor, dict]:
    """Loss of a batch dict(video, boxes, there, labels (B, P, K) of 0 and 1) -> (scalar, the four losses of Faster
    R-CNN, with equal weights).
    """
    del generator
    parts = model.losses(model.prepare(batch["video"]), batch["boxes"], batch["there"], batch["labels"].argmax(-1))
    return sum(parts.values()), {name.removeprefix("loss_"): value.detach() for name, value in parts.items()}
