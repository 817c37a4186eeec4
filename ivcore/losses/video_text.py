"""The loss of video-language pretraining: contrastive and captioning together, from one pass of each encoder
(InternVideo 3.1.2).

    train(model, VideoTextLoss(), batches, recipe, folder)

A batch is a dict with video uint8 (B, T, H, W, 3) (T = 1: an image), ids int64 (B, L) and, if captions repeat,
caption_id int64 (B,), equal for equal captions. "Align before fuse": the caption decoder reads the tokens of the same
encoders that the contrastive term aligns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ivcore import distributed, rng
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError
from ivcore.losses.captioning import captioning, word_accuracy, words
from ivcore.losses.contrastive import clamp_, contrastive, retrieval_accuracy


class Encoded(NamedTuple):
    """The output of one pass of both encoders for B pairs."""

    ids: Tensor  # (B, L)
    videos: Tensor  # (B, E), not normalised; texts likewise
    texts: Tensor
    video_tokens: Tensor  # (B, M, C)
    text_tokens: Tensor  # (B, L, D)


@dataclass
class VideoTextLoss:
    """Weights of the two terms; published: 1 for each. A term of weight 0 is not computed. `chunk`: see
    losses.contrastive.
    """

    contrastive: float = 1.0
    captioning: float = 1.0
    label_smoothing: float = 0.0  # of the caption's words
    chunk: int | None = None

    def __call__(self, model: VideoTextModel, batch: dict, generator: torch.Generator | None = None):
        """-> (scalar, numbers: terms, temperature, t2v, v2t, word_accuracy). First clamps the temperature in place."""
        word_count = self._begin(model, [batch])
        encoded = _encode(model, batch)
        aligned, numbers = self._align(model.logit_scale, encoded.videos, encoded.texts, batch.get("caption_id"))
        described, more_numbers = self._describe(model, encoded, word_count)
        return aligned + described, numbers | more_numbers

    def accumulate(self, pieces: list[dict], generator: torch.Generator | None, engine):
        """Gradients of the loss of all pieces together, with the memory of one (GradCache, arXiv 2101.06983) -> (loss,
        numbers).

        The contrastive term needs all pairs at once, but only their embeddings. The first pass computes these without
        gradients, then the term and its gradient with respect to them. In the second pass every piece runs again with
        gradients and receives the stored ones; captions are added here. Dropout draws the same numbers in both passes.
        The result equals that of one big batch. `engine` is a train.engine.Engine.
        """
        del generator  # draws no random numbers
        with torch.no_grad():  # the engine expects no backward pass
            states, embeddings = zip(*(engine.run(_embed, piece) for piece in pieces))
        word_count, value, numbers, gradients = self._align_all(engine.work, embeddings, pieces)
        for number, (piece, state, gradient) in enumerate(zip(pieces, states, gradients)):
            rng.restore(state)
            with engine.micro_batch(last=number == len(pieces) - 1):
                total, described, more_numbers = engine.run(self._second_pass, piece, gradient, word_count)
                engine.backward(total)
            value = value + described
            for name, number in more_numbers.items():
                numbers[name] = numbers.get(name, 0.0) + number
        return value, numbers

    def _begin(self, model: VideoTextModel, pieces: list[dict]) -> Tensor | None:
        """Checks the model, clamps its temperature, and counts the words that the captioning mean divides by."""
        if self.captioning and model.caption_decoder is None:
            raise ParameterError(f"captioning={self.captioning}: the model has no caption_decoder")
        clamp_(model.logit_scale)
        ids = trimmed(torch.cat([piece["ids"] for piece in pieces]))
        return distributed.mean(words(ids).sum()) if self.captioning else None

    def _align(self, logit_scale: Tensor, videos: Tensor, texts: Tensor, positive_ids: Tensor | None):
        """The weighted contrastive term and its numbers, from embeddings (B, E)."""
        to_video, to_text = retrieval_accuracy(videos, texts, positive_ids, self.chunk)
        numbers = {"temperature": (-logit_scale.detach()).exp(), "t2v": to_video, "v2t": to_text}
        if not self.contrastive:
            return videos.new_zeros(()), numbers
        loss = contrastive(videos, texts, logit_scale, positive_ids, self.chunk)
        return self.contrastive * loss, {"contrastive": loss.detach(), **numbers}

    def _align_all(self, model: VideoTextModel, embeddings, pieces: list[dict]):
        """The contrastive term over the embeddings of all pieces: number of words to divide by, value, numbers, and for
        each piece the gradients with respect to videos, texts and (an equal share each) temperature.
        """
        word_count = self._begin(model, pieces)
        videos, texts = (torch.cat(side).requires_grad_() for side in zip(*embeddings))
        positive_ids = torch.cat([piece["caption_id"] for piece in pieces]) if "caption_id" in pieces[0] else None
        scale = model.logit_scale.detach().clone().requires_grad_()
        value, numbers = self._align(scale, videos, texts, positive_ids)
        if not self.contrastive:
            return word_count, value, numbers, [()] * len(pieces)
        of_videos, of_texts, of_scale = torch.autograd.grad(value, (videos, texts, scale))
        sizes = [len(piece["ids"]) for piece in pieces]
        shares = [of_scale / len(pieces)] * len(pieces)
        return word_count, value.detach(), numbers, list(zip(of_videos.split(sizes), of_texts.split(sizes), shares))

    def _second_pass(self, model: VideoTextModel, piece: dict, gradient, word_count: Tensor | None):
        """A scalar whose gradient is that of all terms for this piece, the captioning term's value, and its numbers."""
        encoded = _encode(model, piece)
        described, numbers = self._describe(model, encoded, word_count)
        outputs = (encoded.videos, encoded.texts, model.logit_scale)
        stored = sum((x * g).sum() for x, g in zip(outputs, gradient))
        return described + stored, described.detach(), numbers

    def _describe(self, model: VideoTextModel, encoded: Encoded, word_count: Tensor | None):
        """The weighted captioning term and its numbers; the sum over pieces is the total.

        Text tokens attend only to the words before them, so none has seen the word it predicts.
        """
        total = encoded.videos.new_zeros((), dtype=torch.float32)
        if not self.captioning:
            return total, {}
        logits = model.caption_decoder(encoded.text_tokens[:, :-1], encoded.video_tokens)
        loss = captioning(logits, encoded.ids, self.label_smoothing, word_count)
        accuracy = word_accuracy(logits, encoded.ids, word_count)
        return total + self.captioning * loss, {"word_accuracy": accuracy, "captioning": loss.detach()}


def trimmed(ids: Tensor) -> Tensor:
    """ids (B, L) cut at the end of the longest text: the encoder is causal, so the rest changes nothing.

    On an accelerator ids are not cut, since reading the length would wait for the device; there the data side trims.
    """
    return ids[:, : int(ids.argmax(-1).max()) + 1] if ids.device.type == "cpu" else ids


def _encode(model: VideoTextModel, batch: dict) -> Encoded:
    """Runs each encoder once."""
    ids = trimmed(batch["ids"])
    videos, clip = model.encode_video(model.prepare(batch["video"]), return_intermediates=("video_tokens",))
    texts, text = model.encode_text(ids, return_intermediates=("text_tokens",))
    return Encoded(ids, videos, texts, clip["video_tokens"][0], text["text_tokens"][0])


def _embed(model: VideoTextModel, piece: dict) -> tuple[dict, tuple[Tensor, Tensor]]:
    """The state of the random generators, and the embeddings computed from that state."""
    state = rng.capture()
    encoded = _encode(model, piece)
    return state, (encoded.videos, encoded.texts)
