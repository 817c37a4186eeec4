"""A pretrained encoder of either kind with a fresh classification layer, ready for supervised post-pretraining (paper 3.2)."""

from __future__ import annotations

from timm.layers import DropPath
from torch import nn

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedVideoEncoder, VideoClassifier
from ivcore.errors import ParameterError


def classifier(
    pretrained: nn.Module, classes: int, *, drop_path=0.0, head_drop=0.0, frames: int = 0, image: int = 0
) -> VideoClassifier | UniFormerV2:
    """What `weights.load` gave -> a classifier. Of a masked autoencoder the encoder is taken, of a video-text model the video tower, and
    of a classifier all but its head.

    A masked encoder loses its last norm, as published. A UniFormerV2 is changed in place; its head's norm begins as the video-text
    model's, or as its own where it is a classifier. drop_path grows from 0 at the first block to this at the last.

    The classifier expects clips of `frames` and `image` (0: as the encoder does). Where that is another grid of tokens, the positions
    that the encoder learned with are interpolated to it, as in the released fine-tuning. ParameterError for anything else.
    """
    encoder = getattr(pretrained, "encoder", None) or getattr(pretrained, "visual", None) or pretrained
    if isinstance(encoder, UniFormerV2):
        norm = getattr(pretrained, "visual_ln_post", None)
        model = _multimodal(encoder, norm, classes, drop_path, head_drop)
        return model.resize_positions(frames, image or model.image)
    if not isinstance(encoder, MaskedVideoEncoder):
        raise ParameterError(f"encoder: {type(pretrained).__name__} has no encoder to post-pretrain")
    model = VideoClassifier(
        encoder.size, classes, drop_path=drop_path, head_drop=head_drop, **encoder.options
    ).load_encoder(encoder)
    _, height, width = encoder.clip
    return model.resize_positions(frames or encoder.clip[0], image or height, image or width)


def masked_encoder(pretrained: nn.Module) -> MaskedVideoEncoder:
    """The encoder of what `weights.load` gave: of a masked autoencoder its own, a masked encoder or classifier itself.

    ParameterError for any other model, such as one of notebook 11.
    """
    encoder = getattr(pretrained, "encoder", pretrained)
    if not isinstance(encoder, MaskedVideoEncoder):
        raise ParameterError(
            f"masked_encoder: holds a {type(pretrained).__name__}; must be of masked video modelling, as runs of 10 and masked ones of 12 and 30"
        )
    return encoder


def _multimodal(encoder: UniFormerV2, norm: nn.LayerNorm | None, classes, drop_path, head_drop) -> UniFormerV2:
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
