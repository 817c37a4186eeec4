"""A pretrained encoder of either kind with a new classification layer, for supervised post-pretraining (paper 3.2)."""

from __future__ import annotations

from timm.layers import DropPath
from torch import nn

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedVideoEncoder, VideoClassifier
from ivcore.errors import ParameterError


def classifier(
    pretrained: nn.Module, classes: int, *, drop_path=0.0, head_drop=0.0, frames: int = 0, image: int = 0
) -> VideoClassifier | UniFormerV2:
    """A classifier from a model that `weights.load` gave. Uses the encoder of a masked autoencoder, the video tower of
    a video-text model, or a classifier without its head.

    A masked encoder loses its last norm, as published. A UniFormerV2 is changed in place; its head's norm starts from
    the video-text model's, or from its own if it is a classifier. drop_path grows from 0 at the first block to this
    value at the last.

    The classifier expects clips of `frames` and `image` (0: the encoder's own). If that gives another grid of tokens,
    the encoder's positions are interpolated to it, as in the released fine-tuning. ParameterError for any other model.
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
    """The encoder of a model that `weights.load` gave: that of a masked autoencoder; a masked encoder or classifier
    itself.

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
