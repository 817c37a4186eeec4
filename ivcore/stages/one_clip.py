"""One clip of one video, and the encoders for it: from given files, or small ones with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ivcore import paths, weights
from ivcore.data.videos import video_set
from ivcore.encoders.clip import Clip, ImageEncoder
from ivcore.encoders.videomae import MaskedVideoEncoder
from ivcore.errors import ParameterError
from ivcore.video import sampling
from ivcore.video.reader import VideoReader


def video_file(video: str = "") -> Path:
    """The file that `video` names; if it is empty, the first of the embedded moving shapes."""
    if video:
        return paths.resolve(video)
    return Path(video_set("train", name="glance", train=14, val=0, test=0).records[0].path)


def middle_clip(file: Path, frames: int, side: int, stride: int) -> Tensor:
    """The middle of a video, every `stride`-th frame: uint8 (1, frames, side, side, 3)."""
    with VideoReader(file, (side, side)) as reader:
        return torch.from_numpy(reader.read(sampling.dense(len(reader), frames, stride)))[None]


def masked_video_encoder(file, **size) -> MaskedVideoEncoder:
    """The encoder in a file, alone or inside an autoencoder; without a file a tiny one of this size."""
    if not file:
        return MaskedVideoEncoder("tiny", **size).eval()
    loaded = weights.load(file)
    encoder = getattr(loaded, "encoder", loaded)
    if type(encoder) is not MaskedVideoEncoder:
        raise ParameterError(
            f"masked_encoder: holds a {type(encoder).__name__}, must be a masked autoencoder or its encoder"
        )
    return encoder.eval()


def image_encoder(file, patch: int, image: int) -> ImageEncoder:
    """The image encoder of the CLIP model in a file; without a file a small one of six layers."""
    if not file:
        return ImageEncoder(128, width=128, layers=6, heads=4, patch=patch, image=image)
    loaded = weights.load(file)
    if not isinstance(loaded, Clip):
        raise ParameterError(f"clip_weights: holds a {type(loaded).__name__}, must be CLIP")
    return loaded.visual
