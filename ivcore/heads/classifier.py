"""A pretrained encoder of either kind with a fresh classification layer, ready for supervised post-pretraining (paper 3.2)."""

from __future__ import annotations

from torch import nn

from ivcore import torchvision_ops  # noqa: F401  (must precede timm)

from timm.layers import DropPath  # isort: skip

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedVideoEncoder, VideoClassifier
from ivcore.errors import ParameterError


def classifier(
    pretrained: nn.Module, classes: int, *, drop_path=0.0, head_drop=0.0, frames: int = 0, image: int = 0
) -> VideoClassifier | UniFormerV2:
    """What `weights.load` gave -> a classifier. Of a masked autoencoder the encoder is taken, of a video-text model the video tower, and
    of a classifier all but its head.

    A masked encoder loses its last norm, as published, and expects clips of `frames` and `image` (0: as it was trained). A UniFormerV2 is
    changed in place; its head's norm begins as the video-text model's, or as its own where it is a classifier. drop_path grows from 0 at the first block to this at the last.
    ParameterError for anything else.
    """
    encoder = getattr(pretrained, "encoder", None) or getattr(pretrained, "visual", None) or pretrained
    if isinstance(encoder, UniFormerV2):
        return _multimodal(
            encoder, getattr(pretrained, "visual_ln_post", None), classes, drop_path, head_drop
        )
    if not isinstance(encoder, MaskedVideoEncoder):
        raise ParameterError(f"encoder: {type(pretrained).__name__} has no encoder to post-pretrain")
    size = encoder.size
    shape = {"frames": frames or size.frames, "image": image or size.image}
    model = VideoClassifier(size, classes, drop_path=drop_path, head_drop=head_drop, **shape)
    return model.load_encoder(encoder)


def _multimodal(
    encoder: UniFormerV2, norm: nn.LayerNorm | None, classes, drop_path, head_drop
) -> UniFormerV2:
    width, blocks = len(encoder.class_embedding), encoder.transformer.resblocks
    layers = nn.LayerNorm(width), nn.Dropout(head_drop), nn.Linear(width, classes)
    if encoder.num_classes:
        norm = encoder.transformer.proj[0]
    if norm is not None:
        layers[0].load_state_dict(norm.state_dict())
    nn.init.trunc_normal_(layers[2].weight, std=0.02)
    nn.init.zeros_(layers[2].bias)
    encoder.transformer.proj, encoder.num_classes = nn.Sequential(*layers), classes
    for i, block in enumerate(blocks):
        rate = drop_path * i / max(len(blocks) - 1, 1)
        block.drop_path = DropPath(rate) if rate else nn.Identity()
    return encoder
