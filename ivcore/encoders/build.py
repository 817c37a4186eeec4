"""Builds a multimodal model in one of the `sizes`, or from a given CLIP."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from ivcore.encoders.caption_decoder import CaptionDecoder, PlainCaptionDecoder
from ivcore.encoders.clip import Clip, TextEncoder
from ivcore.encoders.sizes import VideoTextSize
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError


def size_of(clip: Clip, **changes) -> VideoTextSize:
    """The size of a CLIP, from the shapes of its weights. ParameterError for another model."""
    if not isinstance(clip, Clip):
        raise ParameterError(f"clip: holds a {type(clip).__name__}, must be CLIP")
    image, text = clip.visual, clip.text
    blocks, words = image.transformer.resblocks, text.transformer.resblocks
    vocabulary, text_width = text.token_embedding.weight.shape
    width, embed = image.proj.shape
    heads = blocks[0].attn.heads, words[0].attn.heads
    size = VideoTextSize(width, len(blocks), heads[0], image.patch, image.image, text_width, len(words), heads[1], embed,
                         text.context, vocabulary)  # fmt: skip
    return replace(size, **changes)


def video_text_model(
    size: VideoTextSize, clip: Clip | None = None, decoder: nn.Module | None = None, *, caption_query: bool = False,
    dropout: float = 0.5,
) -> VideoTextModel:  # fmt: skip
    """A multimodal model. With `clip` it starts as that CLIP, up to rounding (see `load_clip`); without, it starts from random weights.

    From random weights, positions are as large as patches (with CLIP's initialisation they are a sixth, but movement is a change of
    position), and the global blocks are initialised by `init_from_scratch`. dropout: in the global blocks' MLPs. ParameterError for
    global_layers outside [0, layers].
    """
    if not 0 <= size.global_layers <= size.layers:
        raise ParameterError(f"global_layers={size.global_layers}: must be in [0, {size.layers}]")
    vision = UniFormerV2(size.width, size.layers, size.heads, size.patch, size.image, 0,
                         range(size.layers - size.global_layers, size.layers), mlp_dropout=dropout)  # fmt: skip
    text = TextEncoder(size.embed, size.text_width, size.text_layers, size.text_heads, size.context, size.vocabulary)
    model = VideoTextModel(vision, text, size.embed, decoder, caption_query)
    if clip is not None:
        return model.load_clip(clip)
    nn.init.normal_(vision.positional_embedding, std=0.5)
    vision.transformer.init_from_scratch()
    return model


def caption_decoder(kind: str, size: VideoTextSize, width: int | None = None, layers: int = 6) -> nn.Module | None:
    """A caption decoder. kind plain: the paper's, `layers` standard layers of `width` and a two-layer MLP (3.2). published: that of the
    released code, with the text tower's width. none: None. Heads are 64 wide, 32 in the tiny size. ParameterError for another kind."""
    width = width or size.text_width
    heads = max(1, width // 64) if width % 64 == 0 else max(1, width // 32)
    if kind == "plain":
        return PlainCaptionDecoder(size.text_width, size.width, width, layers, heads, size.vocabulary)
    if kind == "published":
        return CaptionDecoder(size.text_width, size.width, layers, size.text_heads, size.vocabulary)
    if kind == "none":
        return None
    raise ParameterError(f"caption decoder: {kind!r} is not one of plain, published, none")
