"""The coordinated model as one classifier of other classes, fine-tuned like a single encoder (paper 4.3.1)."""

from __future__ import annotations

import re
from copy import deepcopy

import torch
from torch import Tensor

from ivcore.cma import Coordinated
from ivcore.heads.classifier import classifier

_BLOCK = re.compile(r"(masked|multimodal)\.(?:transformer\.res)?blocks\.(\d+)")
_STEMS = (
    *(f"masked.{part}" for part in ("patch_embed", "pos_embed")),
    *(f"multimodal.{part}" for part in ("conv1", "class_embedding", "positional_embedding", "ln_pre")),
)


class JoinedClassifier(Coordinated):
    """A coordinated model with the interface of an encoder: `m(m.prepare(clips))` gives the fused scores (B, K),
    `m.features(...)` (B, D + D').

    Clips uint8 (B, T + F, H, W, 3) hold the dense frames, then the F `frames` of the multimodal branch. Everything is
    trained. It is saved like any coordinated model.
    """

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 clips -> float (B, 3, T + F, H, W); each branch's frames are normalised with its own statistics."""
        return torch.cat(super().prepare(clips[:, : -self.frames], clips[:, -self.frames :]), 2)

    def forward(self, video: Tensor) -> Tensor:
        return super().forward(self._pair(video)).fused

    def features(self, video: Tensor) -> Tensor:
        return super().features(self._pair(video))

    def _pair(self, video: Tensor) -> tuple[Tensor, Tensor]:
        return video[:, :, : -self.frames], video[:, :, -self.frames :]

    @property
    def grid(self) -> tuple[int, int, int]:
        """The token grid (t, h, w) of the masked branch."""
        return self.masked.grid

    def group_matcher(self, coarse: bool = False):
        """A function in timm's style: parameter name -> number of its layer, for layer-wise learning rates.

        The blocks of each encoder are counted from its top, so that the shallower one has the rates that it would have
        alone. Modules, fusion and heads are the last layer.
        """
        depth = {"masked": len(self.masked.blocks), "multimodal": len(self.multimodal.transformer.resblocks)}
        most = max(depth.values())

        def layer(name: str) -> int:
            if block := _BLOCK.match(name):
                return most - depth[block[1]] + 1 + int(block[2])
            return most - depth[name.partition(".")[0]] if name.startswith(_STEMS) else most + 1

        return layer


def joined(
    pretrained: Coordinated, classes: int = 0, *, frames: int, image: int, sparse: int, drop_path=0.0, head_drop=0.0
) -> JoinedClassifier:
    """A copy of a coordinated model for clips of `frames` dense and `sparse` frames, with fresh layers for `classes`; 0
    keeps its own.
    """
    if classes:
        how = {"drop_path": drop_path, "head_drop": head_drop, "image": image}
        masked = classifier(pretrained.masked, classes, frames=frames, **how)
        multimodal = classifier(deepcopy(pretrained.multimodal), classes, frames=sparse, **how)
    else:
        masked, multimodal = deepcopy(pretrained.masked), deepcopy(pretrained.multimodal)
    options = pretrained.options | {"frozen": False, "head_drop": None, "frames": sparse}
    model = JoinedClassifier(
        masked.requires_grad_(), multimodal.requires_grad_(), placement=pretrained.placement, **options
    )
    kept = ("cma.", "last_cma.") if classes and options["per_class"] else ("cma.", "last_cma.", "fusion.")
    model.load_state_dict({k: v for k, v in pretrained.state_dict().items() if k.startswith(kept)}, strict=False)
    return model
