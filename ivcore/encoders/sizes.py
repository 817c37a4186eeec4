"""The sizes of both encoders, as data; `build` makes multimodal models of them.

Masked video encoder: base, large and huge are the published sizes (paper 4.2.2 and the released InternVideo code: its huge decoder is 512
wide, while the paper says half of 1280; pass decoder_width=640 for the VideoMAE release). giant is VideoMAE v2's (arXiv
2303.16727). Multimodal model: base and large are CLIP's B/16 and L/14 with global blocks in the last four layers (paper 3.2). tiny and
mini are this workbook's own: they train on a CPU, tiny in minutes and mini, the size of the weights in the box, in an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ivcore.errors import ParameterError


@dataclass(frozen=True)
class Size:
    """Widths and depths of encoder and decoder, and the clip that they take (frames x image x image pixels)."""

    width: int
    depth: int
    heads: int
    decoder_width: int
    decoder_depth: int
    decoder_heads: int
    mlp_ratio: float = 4.0
    patch: int = 16  # pixels
    tubelet: int = 2  # frames
    frames: int = 16
    image: int = 224  # pixels

    @property
    def grid(self) -> tuple[int, int, int]:
        """The numbers of tokens of a clip along (t, h, w)."""
        return self.frames // self.tubelet, self.image // self.patch, self.image // self.patch

    @property
    def tokens(self) -> int:
        t, h, w = self.grid
        return t * h * w

    @property
    def tubelet_values(self) -> int:
        """The number of values in a tubelet of an RGB clip, which the decoder predicts for each masked token."""
        return self.tubelet * self.patch * self.patch * 3


SIZES = {
    "tiny": Size(128, 4, 4, 64, 2, 2, patch=8, frames=8, image=32),
    "mini": Size(128, 6, 4, 96, 2, 3, patch=8, frames=8, image=64),
    "small": Size(384, 12, 6, 192, 4, 3),
    "base": Size(768, 12, 12, 384, 4, 6),
    "large": Size(1024, 24, 16, 512, 12, 8),
    "huge": Size(1280, 32, 16, 512, 8, 8),
    "giant": Size(1408, 40, 16, 512, 4, 8, mlp_ratio=48 / 11, patch=14),
}


def size(name: str | Size, **overrides) -> Size:
    """A size by name, with fields changed: size("tiny", image=64). ParameterError for unknown names and as in `checked`."""
    if isinstance(name, str) and name not in SIZES:
        raise ParameterError(f"encoder size: {name!r} is not one of {', '.join(SIZES)}")
    names = [field.name for field in fields(Size)]
    for key in overrides:
        if key not in names:
            raise ParameterError(f"encoder size: no field {key!r}; there are {', '.join(names)}")
    return checked(replace(SIZES[name] if isinstance(name, str) else name, **overrides))


def checked(size: Size) -> Size:
    """Returns the size. ParameterError if tubelets or patches do not divide the clip, or heads do not divide a width."""
    whole = (
        ("frames", size.frames, "tubelet", size.tubelet),
        ("image", size.image, "patch", size.patch),
        ("width", size.width, "heads", size.heads),
        ("decoder_width", size.decoder_width, "decoder_heads", size.decoder_heads),
    )
    for name, value, by, divisor in whole:
        if value < 1 or divisor < 1 or value % divisor:
            raise ParameterError(f"encoder size: {name} {value} is not a positive multiple of {by} {divisor}")
    return size


@dataclass(frozen=True)
class VideoTextSize:
    """The image tower, text tower and common embedding of a multimodal model. image, patch: in pixels; global_layers: number of last
    layers with global blocks."""

    width: int
    layers: int
    heads: int
    patch: int
    image: int
    text_width: int
    text_layers: int
    text_heads: int
    embed: int
    context: int = 77
    vocabulary: int = 49408
    global_layers: int = 4


VIDEO_TEXT_SIZES = {
    "tiny": VideoTextSize(96, 3, 3, 8, 32, 96, 2, 3, 96, context=24, global_layers=3),
    "mini": VideoTextSize(128, 5, 4, 8, 64, 128, 3, 4, 128, context=32),
    "base": VideoTextSize(768, 12, 12, 16, 224, 512, 12, 8, 512),
    "large": VideoTextSize(1024, 24, 16, 14, 224, 768, 12, 12, 768),
}


def video_text_size(name: str, **changes) -> VideoTextSize:
    """A size by name, with fields changed. ParameterError for an unknown name."""
    if name not in VIDEO_TEXT_SIZES:
        raise ParameterError(f"model size: {name!r} is not one of {', '.join(VIDEO_TEXT_SIZES)}")
    return replace(VIDEO_TEXT_SIZES[name], **changes)
