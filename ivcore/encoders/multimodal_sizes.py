"""The sizes of the multimodal model, as data.

base and large are CLIP's B/16 and L/14 with global blocks in the last four layers (paper 3.2); tiny is this workbook's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ivcore.errors import ParameterError


@dataclass(frozen=True)
class VideoTextSize:
    """Image tower, text tower and the common embedding; `image` and `patch` in pixels, `global_layers` counts from the last layer."""

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
    "base": VideoTextSize(768, 12, 12, 16, 224, 512, 12, 8, 512),
    "large": VideoTextSize(1024, 24, 16, 14, 224, 768, 12, 12, 768),
}


def video_text_size(name: str, **changes) -> VideoTextSize:
    """A size by name, with fields changed."""
    if name not in VIDEO_TEXT_SIZES:
        raise ParameterError(f"model size: {name!r} is not one of {', '.join(VIDEO_TEXT_SIZES)}")
    return replace(VIDEO_TEXT_SIZES[name], **changes)
