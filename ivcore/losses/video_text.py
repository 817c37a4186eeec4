"""The loss of video-language pretraining: contrastive and captioning together, from one pass of each encoder (InternVideo 3.1.2).

    train(model, VideoTextLoss(), batches, recipe, folder)

A batch is a dict with video uint8 (B, T, H, W, 3) (T = 1: an image), ids int64 (B, L) and, where captions repeat, same int64 (B,),
equal for equal captions. "Align before fuse": the caption decoder reads the tokens of the very encoders that the contrastive term aligns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ivcore.encoders.video_text import VideoTextModel
from ivcore.losses.captioning import captioning, word_accuracy
from ivcore.losses.contrastive import clamp_, contrastive, retrieval_accuracy


@dataclass
class VideoTextLoss:
    """Weights of the terms; published: 1 each. A term of weight 0 is not computed. `chunk`: see losses.contrastive."""

    contrastive: float = 1.0
    captioning: float = 1.0
    label_smoothing: float = 0.0  # of the caption's words
    chunk: int | None = None

    def __call__(self, model: VideoTextModel, batch: dict, generator: torch.Generator | None = None):
        """-> (scalar, {contrastive, captioning, temperature, t2v, v2t, word_accuracy}). Clamps the temperature in place first."""
        clamp_(model.logit_scale)
        seen = self._encode(model, batch)
        value, numbers = self._align(model, seen["videos"], seen["texts"], batch.get("same"))
        if self.captioning:
            loss, more = self._describe(model, seen)
            value, numbers = value + self.captioning * loss, numbers | more
        return value, numbers

    def _encode(self, model: VideoTextModel, batch: dict) -> dict[str, Tensor]:
        """Embeddings and tokens of both encoders, each run once."""
        ids = trimmed(batch["ids"])
        videos, clip = model.encode_video(model.prepare(batch["video"]), want=("video_tokens",))
        texts, text = model.encode_text(ids, want=("text_tokens",))
        tokens = {"video_tokens": clip["video_tokens"][0], "text_tokens": text["text_tokens"][0]}
        return {"videos": videos, "texts": texts, "ids": ids, **tokens}

    def _align(self, model: VideoTextModel, videos: Tensor, texts: Tensor, same: Tensor | None):
        """The contrastive term and its numbers, from embeddings (B, E)."""
        to_video, to_text = retrieval_accuracy(videos, texts, same, self.chunk)
        numbers = {"temperature": (-model.logit_scale.detach()).exp(), "t2v": to_video, "v2t": to_text}
        if not self.contrastive:
            return videos.new_zeros(()), numbers
        loss = contrastive(videos, texts, model.logit_scale, same, self.chunk)
        return self.contrastive * loss, {"contrastive": loss.detach(), **numbers}

    def _describe(self, model: VideoTextModel, seen: dict[str, Tensor]):
        """The caption term and its numbers. Text tokens know only the words before them, so none has seen the word it predicts."""
        logits = model.caption_decoder(seen["text_tokens"][:, :-1], seen["video_tokens"])
        loss = captioning(logits, seen["ids"], self.label_smoothing)
        return loss, {"captioning": loss.detach(), "word_accuracy": word_accuracy(logits, seen["ids"])}


def trimmed(ids: Tensor) -> Tensor:
    """ids (B, L) up to the longest text's end: the encoder is causal, so what follows changes nothing.

    On an accelerator they pass whole, since the length would have to be waited for; there the data side trims.
    """
    return ids[:, : int(ids.argmax(-1).max()) + 1] if ids.device.type == "cpu" else ids
