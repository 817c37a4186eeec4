"""Untrained models of a few thousand weights in files that say how they are used, and videos to ask them about."""

from pathlib import Path

import numpy as np
import torch

from ivcore.cma import Coordinated
from ivcore.data.captions.sets import CaptionedSet
from ivcore.data.formats import CaptionedVideo
from ivcore.encoders.caption_decoder import PlainCaptionDecoder
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.train import save_weights
from ivcore.video.writer import write_video
from ivcore.weights.usage import Usage

SMALL = {"width": 16, "depth": 2, "heads": 2, "frames": 4, "image": 16, "patch": 8}
DENSE = Usage(16, 4, "dense", 2)
SPARSE = Usage(16, 3, "segment")
CLASSES = ("slide left", "größer", "走る")
TOKENIZER = Tokenizer.for_texts(["a red square slides left", "a dog jumps"], 8)


def masked(classes=3):
    return VideoClassifier("tiny", classes, init_scale=1.0, **SMALL)


def multimodal(classes=3):
    return UniFormerV2(16, 2, 2, 8, 16, classes, (0, 1))


def video_text():
    text = TextEncoder(12, 16, 2, 2, TOKENIZER.context, TOKENIZER.vocabulary)
    return VideoTextModel(multimodal(0), text, 12)


def clip_file(folder: Path) -> str:
    """CLIP of the size of `video_text`: a model that it may have started from."""
    torch.manual_seed(5)
    text = TextEncoder(12, 16, 2, 2, TOKENIZER.context, TOKENIZER.vocabulary)
    model = Clip(ImageEncoder(12, 16, 2, 2, 8, 16), text)
    return str(save_weights(model, folder / "clip.safetensors", model.config))


def build(kind: str):
    """(model, usage)"""
    torch.manual_seed(0)
    return {
        "masked": lambda: (MaskedAutoencoder("tiny", **SMALL), DENSE),
        "classifier": lambda: (masked(), Usage(16, 4, "dense", 2, test_clips=2, test_crops=3, classes=CLASSES)),
        "multimodal": lambda: (multimodal(), Usage(16, 3, "segment", classes=CLASSES)),
        "coordinated": lambda: (
            Coordinated(masked(), multimodal(), stages=2, frames=3),
            Usage(16, 4, "dense", 2, 3, classes=CLASSES),
        ),
        "video_text": lambda: (video_text(), Usage(16, 3, "segment", tokenizer=TOKENIZER.config)),
    }[kind]()


KINDS = ("masked", "classifier", "multimodal", "coordinated", "video_text")


def saved(folder: Path, kind: str) -> Path:
    model, usage = build(kind)
    return save_weights(model.eval(), folder / f"{kind}.safetensors", model.config | usage.saved(model))


def captioning(folder: Path) -> Path:
    """A video-text model that writes captions, of words by chance."""
    model, usage = build("video_text")
    torch.manual_seed(1)
    model.caption_decoder = PlainCaptionDecoder(16, 16, 16, 1, 2, TOKENIZER.vocabulary)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return save_weights(model.eval(), folder / "captions.safetensors", model.config | usage.saved(model))


def video(path: Path, frames: int = 12, size: tuple[int, int] = (16, 24), seed: int = 0, fps: float = 8.0) -> Path:
    """A square that wanders over a ground, both of colours that `seed` chooses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = np.empty((frames, *size, 3), np.uint8)
    pixels[:] = rng.integers(0, 255, 3)
    colour = rng.integers(0, 255, 3)
    for t in range(frames):
        x = (seed + 2 * t) % (size[1] - 6)
        pixels[t, 4:10, x : x + 6] = colour
    write_video(path, pixels, fps)
    return path


def some_videos(folder, count=4, broken=()):
    """Clips with two captions each; those of the numbers in `broken` cannot be read."""
    records = []
    for number in range(count):
        path = folder / f"{number}.mp4"
        path.write_bytes(b"x") if number in broken else video(path, seed=number)
        records.append(CaptionedVideo(str(number), str(path), ("a red square slides left", f"a dog jumps {number}")))
    queries = [record.captions[0] for record in records]
    return CaptionedSet(records, queries, [("a dog jumps",)] * count, "own")
