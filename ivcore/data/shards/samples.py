"""Decodes a sample of a tar shard (suffix -> bytes) to a captioned clip, or says why that fails."""

import io
import json
from dataclasses import dataclass

import numpy as np

from ivcore.data.captions import texts
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.shards.tar import VIDEOS, Skipped
from ivcore.errors import VideoError
from ivcore.video import images, memory_file
from ivcore.video.reader import VideoReader

TEXTS = ("txt", "text", "caption")


@dataclass(frozen=True)
class Decoder:
    """(sample, generator) -> dict(video uint8 (T, size, size, 3), ids int64 (L,), text, caption_id int, path, cut, utf8), or `Skipped`.

    The caption is the .txt, or "caption" or "captions" of the .json; one of several is drawn at random. A video has precedence over a picture.
    """

    tokenizer: object
    spec: ClipSpec

    def __call__(self, sample: dict, rng: np.random.Generator) -> dict | Skipped:
        captions, why = _captions(sample)
        read = [texts.read(caption) for caption in captions]
        kept = [text for text, _ in read if text]
        suffix = _member(sample, VIDEOS) or _member(sample, images.SUFFIXES)
        if not kept:
            return _skipped(sample, "empty" if captions else "no_caption", why or "nothing in its caption")
        if not suffix:
            return _skipped(sample, "no_media", f"members {', '.join(_members(sample)) or 'none'}")
        try:
            video = self._video(sample[suffix], suffix, _path(sample), rng)
        except VideoError as error:
            return _skipped(sample, "corrupt", error.cause)
        text = kept[rng.integers(len(kept))] if len(kept) > 1 else kept[0]
        ids, cut = texts.tokens(text, self.tokenizer)
        facts = {
            "caption_id": texts.caption_id(kept),
            "path": _path(sample),
            "cut": cut,
            "utf8": all(ok for _, ok in read),
        }
        return {"video": video, "ids": ids, "text": text, **facts}

    def _video(self, data: bytes, suffix: str, name: str, rng: np.random.Generator) -> np.ndarray:
        size = self.spec.short_side
        if images.is_image(suffix):
            frames = self.spec.still(images.read_image(io.BytesIO(data), size, name))
        else:
            with memory_file.as_file(data) as file, VideoReader(file, size) as reader:
                frames = reader.read(self.spec.indices(len(reader), rng))
        return self.spec.crop(frames, rng)


def _members(sample: dict) -> list[str]:
    return [name for name in sample if not name.startswith("__")]


def _member(sample: dict, suffixes) -> str:
    """The first member with one of these endings, or ""."""
    return next((name for name in _members(sample) if name.rpartition(".")[2] in suffixes), "")


def _path(sample: dict) -> str:
    return f"{sample['__url__']}#{sample['__key__']}"


def _skipped(sample: dict, reason: str, cause: str) -> Skipped:
    """The `Skipped` of a sample. A media file or caption missing from the last sample of a cut archive has the reason "truncated"."""
    cut = sample.get("__cut__") and reason in ("no_caption", "no_media")
    return Skipped(sample["__url__"], sample["__key__"], "truncated" if cut else reason, cause)


def _captions(sample: dict) -> tuple[list, str]:
    """Returns (raw captions, bytes or text; the cause if there are none)."""
    if name := _member(sample, TEXTS):
        return [sample[name]], ""
    if not (name := _member(sample, ("json",))):
        return [], f"members {', '.join(_members(sample))}"
    try:  # keeps bytes that are not UTF-8, for texts.read
        facts = json.loads(sample[name].decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        return [], f"{name} does not parse: {error}"
    value = (facts.get("captions") or facts.get("caption")) if isinstance(facts, dict) else None
    listed = value if isinstance(value, list) else [value]
    return [text for text in listed if isinstance(text, str)], f"no text under caption or captions in {name}"
