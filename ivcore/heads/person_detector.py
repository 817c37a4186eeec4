"""Boxes of people in single pictures, by torchvision's Faster R-CNN, for videos without a detector's file."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ivcore import torchvision_shim
from ivcore.errors import UserError

PERSON = 1  # among COCO's classes
CLASSES = 91


class PersonDetector(nn.Module):
    """`weights`: a checkpoint of torchvision's `fasterrcnn_resnet50_fpn`, or "" for random ones; nothing is downloaded.
    short_side: size in pixels to which pictures are resized.

    UserError for a file with other contents.
    """

    def __init__(self, weights="", least_score: float = 0.05, short_side: int = 800):
        super().__init__()
        from torchvision.models.detection import fasterrcnn_resnet50_fpn

        torchvision_shim.allow_nms()
        self.network = fasterrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=CLASSES, box_score_thresh=least_score, min_size=short_side
        )
        if weights:
            try:
                self.network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
            except (OSError, RuntimeError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
                raise UserError(
                    f"{weights}: not a checkpoint of torchvision's fasterrcnn_resnet50_fpn ({error})"
                ) from None
        self.eval()

    @torch.inference_mode()
    def people(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (H, W, 3) -> boxes (n, 4) as shares of the picture and scores (n,), best first."""
        device = next(self.parameters()).device
        picture = torch.from_numpy(np.ascontiguousarray(frame)).to(device).movedim(-1, 0).float() / 255
        with torch.compiler.set_stance("force_eager"):  # see heads.boxes
            (found,) = self.network([picture])
        person = found["labels"] == PERSON
        height, width = frame.shape[:2]
        boxes = found["boxes"][person].cpu().numpy() / np.array([width, height] * 2)
        return boxes.clip(0, 1), found["scores"][person].cpu().numpy()
