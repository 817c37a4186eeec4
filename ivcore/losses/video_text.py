"""The loss of video-language pretraining: contrastive and captioning together, from one pass of each encoder (InternVideo 3.1.2).

    train(model, VideoTextLoss(), batches, recipe, folder)

A batch is a dict with video uint8 (B, T, H, W, 3) (T = 1: an image), ids int64 (B, L) and, where captions repeat, same int64 (B,),
equal for equal captions. "Align before fuse": the caption decoder reads the tokens of the very encoders that the contrastive term aligns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ivcore import distributed, rng
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError
from ivcore.losses.captioning import captioning, word_accuracy, words
from ivcore.losses.contrastive import clamp_, contrastive, retrieval_accuracy
from ivcore.losses.masked_language import Hidden, MaskedLanguageHead, hide, masked_language
from ivcore.losses.matching import MatchingHead, hard_negatives, matching


@dataclass
class Pass:
    """What one pass of both encoders gave for B pairs."""

    ids: Tensor  # (B, L)
    videos: Tensor  # (B, E), not normalised, as the texts
    texts: Tensor
    video_tokens: Tensor  # (B, M, C)
    text_tokens: Tensor  # (B, L, D)


@dataclass
class Plan:
    """What is settled for a whole batch before it is computed, perhaps in pieces: random choices, and what the means divide by."""

    words: Tensor | None = None
    hidden: Hidden | None = None
    hidden_words: Tensor | None = None
    share: float = 1.0  # of the clips, in this piece


@dataclass
class VideoTextLoss:
    """Weights of the terms; published: 1 for the first two. A term of weight 0 is not computed. `chunk`: see losses.contrastive.

    masked_language and matching need heads that belong to the model (see `add_heads`), and matching the caption decoder as well.
    """

    contrastive: float = 1.0
    captioning: float = 1.0
    masked_language: float = 0.0
    matching: float = 0.0
    label_smoothing: float = 0.0  # of the caption's words
    masked_share: float = 0.15  # of the words, for masked_language
    chunk: int | None = None

    def __call__(self, model: VideoTextModel, batch: dict, generator: torch.Generator | None = None):
        """-> (scalar, numbers: each term, temperature, t2v, v2t, word_accuracy, …). Clamps the temperature in place first."""
        plan = self._plan(model, [batch], generator)[0]
        seen = _encode(model, batch)
        value, numbers = self._align(model, seen.videos, seen.texts, batch.get("same"))
        more, others = self._fuse(model, seen, plan, batch.get("same"), generator)
        return value + more, numbers | others

    def accumulate(
        self, model: VideoTextModel, pieces: list[dict], generator: torch.Generator | None, engine
    ):
        """Gradients of the loss of all pieces together, in the memory of one (GradCache, arXiv 2101.06983) -> (loss, numbers).

        The contrastive term needs every pair at once, but only their embeddings: they are computed without gradients first, the term and its
        gradient with respect to them next, then every piece again with gradients, to which the stored ones are handed on; the other terms join
        in this second pass. Dropout draws the same numbers in both. Equal to one big batch, but for matching, whose wrong pairs are sought
        within a piece. `engine` has `autocast()` and `backward(loss)`.
        """
        plans = self._plan(model, pieces, generator)
        states, firsts = zip(*(_embed(model, piece, engine) for piece in pieces))
        value, numbers, slopes = self._stored(model, firsts, pieces, engine)
        for piece, plan, state, slope in zip(pieces, plans, states, slopes):
            rng.restore(state)
            with engine.autocast():
                seen = _encode(model, piece)
                more, others = self._fuse(model, seen, plan, piece.get("same"), generator)
            handed = sum((x * s).sum() for x, s in zip((seen.videos, seen.texts), slope))
            engine.backward(more + handed)
            value = value + more.detach()
            for name, number in others.items():
                numbers[name] = numbers.get(name, 0.0) + number
        return value, numbers

    def _plan(self, model: VideoTextModel, pieces: list[dict], generator) -> list[Plan]:
        """One plan a piece. Also what comes first in a step: checks, and the temperature's clamp."""
        self._check(model)
        clamp_(model.logit_scale)
        ids, sizes = trimmed(torch.cat([piece["ids"] for piece in pieces])), [len(p["ids"]) for p in pieces]
        plans = [Plan(share=size / len(ids)) for size in sizes]
        if self.captioning:
            count = distributed.mean(words(ids).sum())
            for plan in plans:
                plan.words = count
        if self.masked_language:
            hidden = hide(ids, self.masked_share, generator)
            count = distributed.mean(hidden.valid.sum())
            for plan, part in zip(plans, hidden.split(sizes)):
                plan.hidden, plan.hidden_words = part, count
        return plans

    def _check(self, model: VideoTextModel) -> None:
        needed = {
            "captioning": ("caption_decoder",),
            "masked_language": ("masked_language_head",),
            "matching": ("matching_head", "caption_decoder"),
        }
        for term, parts in needed.items():
            for part in parts if getattr(self, term) else ():
                if getattr(model, part, None) is None:
                    raise ParameterError(f"{term}={getattr(self, term)}: the model has no {part}")
        if self.masked_language and model.text.text_mask_embedding is None:
            raise ParameterError(
                f"masked_language={self.masked_language}: the text encoder has no mask_embedding"
            )

    def _align(self, model: VideoTextModel, videos: Tensor, texts: Tensor, same: Tensor | None):
        """The contrastive term, weighted, and its numbers, from embeddings (B, E)."""
        to_video, to_text = retrieval_accuracy(videos, texts, same, self.chunk)
        numbers = {"temperature": (-model.logit_scale.detach()).exp(), "t2v": to_video, "v2t": to_text}
        if not self.contrastive:
            return videos.new_zeros(()), numbers
        loss = contrastive(videos, texts, model.logit_scale, same, self.chunk)
        return self.contrastive * loss, {"contrastive": loss.detach(), **numbers}

    def _stored(self, model: VideoTextModel, firsts, pieces: list[dict], engine):
        """The contrastive term over the embeddings of all pieces: its value, numbers, and gradients by piece."""
        leaves = [torch.cat(each).requires_grad_() for each in zip(*firsts)]
        same = torch.cat([p["same"] for p in pieces]) if "same" in pieces[0] else None
        value, numbers = self._align(model, *leaves, same)
        if not self.contrastive:
            return value, numbers, [()] * len(pieces)
        engine.backward(value)
        sizes = [len(x) for x, _ in firsts]
        return value.detach(), numbers, list(zip(*(leaf.grad.split(sizes) for leaf in leaves)))

    def _fuse(self, model: VideoTextModel, seen: Pass, plan: Plan, same: Tensor | None, generator):
        """The terms that look at words and clip together, weighted and summed, and their numbers; those of pieces add up."""
        total, numbers = seen.videos.new_zeros((), dtype=torch.float32), {}
        if self.captioning:
            loss, accuracy = self._describe(model, seen, plan)
            total, numbers["word_accuracy"] = total + self.captioning * loss, accuracy
            numbers["captioning"] = loss.detach()
        if self.masked_language:
            loss = _guess(model, seen, plan)
            total, numbers["masked_language"] = total + self.masked_language * loss, loss.detach()
        if self.matching:
            loss, accuracy = (plan.share * x for x in _judge(model, seen, same, generator))
            total, numbers["matching_accuracy"] = total + self.matching * loss, accuracy
            numbers["matching"] = loss.detach()
        return total, numbers

    def _describe(self, model: VideoTextModel, seen: Pass, plan: Plan) -> tuple[Tensor, Tensor]:
        """Captioning. Text tokens know only the words before them, so none has seen the word it predicts."""
        logits = model.caption_decoder(seen.text_tokens[:, :-1], seen.video_tokens)
        loss = captioning(logits, seen.ids, self.label_smoothing, plan.words)
        return loss, word_accuracy(logits, seen.ids, plan.words)


def add_heads(model: VideoTextModel, loss: VideoTextLoss) -> VideoTextModel:
    """Give the model fresh heads for the optional terms that have a weight, as `masked_language_head` and `matching_head`. Returns it."""
    vocabulary, width = model.text.token_embedding.weight.shape
    vision = model.visual_ln_post.normalized_shape[0]
    if loss.masked_language:
        heads = model.text.transformer.resblocks[0].attn.heads
        head = MaskedLanguageHead(width, vision, heads, vocabulary)
        model.masked_language_head = head.to(model.logit_scale)
    if loss.matching:
        decoded = next(p for p in model.caption_decoder.predictor.parameters()).shape[-1]
        head = MatchingHead(decoded + 2 * model.visual_proj.shape[1])
        model.matching_head = head.to(model.logit_scale)
    return model


def trimmed(ids: Tensor) -> Tensor:
    """ids (B, L) up to the longest text's end: the encoder is causal, so what follows changes nothing.

    On an accelerator they pass whole, since the length would have to be waited for; there the data side trims.
    """
    return ids[:, : int(ids.argmax(-1).max()) + 1] if ids.device.type == "cpu" else ids


def _encode(model: VideoTextModel, batch: dict) -> Pass:
    """Each encoder run once."""
    ids = trimmed(batch["ids"])
    videos, clip = model.encode_video(model.prepare(batch["video"]), want=("video_tokens",))
    texts, text = model.encode_text(ids, want=("text_tokens",))
    return Pass(ids, videos, texts, clip["video_tokens"][0], text["text_tokens"][0])


@torch.no_grad()
def _embed(model: VideoTextModel, piece: dict, engine) -> tuple[dict, tuple[Tensor, Tensor]]:
    """The state of the random generators, and the embeddings computed from there."""
    state = rng.capture()
    with engine.autocast():
        seen = _encode(model, piece)
    return state, (seen.videos, seen.texts)


def _guess(model: VideoTextModel, seen: Pass, plan: Plan) -> Tensor:
    """Masked language modelling: the text is read a second time, with words hidden."""
    tokens = model.text.tokens(seen.ids, plan.hidden.mask(seen.ids))
    logits = model.masked_language_head(tokens, seen.video_tokens, seen.ids, plan.hidden)
    return masked_language(logits, seen.ids, plan.hidden, plan.hidden_words)


def _judge(model: VideoTextModel, seen: Pass, same: Tensor | None, generator) -> tuple[Tensor, Tensor]:
    """Matching, with the share of pairs judged rightly."""
    wrong = hard_negatives(seen.videos, seen.texts, model.logit_scale, same, generator)
    return matching(model, model.matching_head, seen.videos, seen.texts, seen.video_tokens, seen.text_tokens,
                    seen.ids, wrong)  # fmt: skip
