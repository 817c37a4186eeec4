"""Writes captions with a video-text model: greedy, nucleus (arXiv 1904.09751) and beam search; each word is computed once.

    ids = greedy(model, video, tokenizer)           # (B, L), from the start token to the end token, then zeros
    tokenizer.caption(ids[0])

words: an object with the ids `start` and `end`, such as the tokenizer. Text encoder and caption decoder cache the keys and values of earlier
words and of the clip.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ivcore.encoders.caption_decoder import select_rows
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError


class Words(Protocol):
    """The ids of the start and end tokens."""

    start: int
    end: int


@torch.no_grad()
def greedy(model: VideoTextModel, video: Tensor, words: Words, length: int | None = None) -> Tensor:
    """Takes the most probable word at each step; returns ids (B, L).

    length: most tokens of a caption, including start and end (default: the text encoder's context). ParameterError for a length outside
    2 to the context, or a model without a caption decoder.
    """
    return _one_by_one(_Stream(model, video), words, _length(model, length), lambda logits: logits.argmax(-1))


@torch.no_grad()
def nucleus(model: VideoTextModel, video: Tensor, words: Words, length: int | None = None, *, top_p: float = 0.9,
            temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:  # fmt: skip
    """Draws each word from the smallest set of most probable words with total probability `top_p`; otherwise as `greedy`."""
    if not 0 < top_p <= 1 or temperature <= 0:
        raise ParameterError(f"nucleus: top_p must be in (0, 1] and temperature above 0, not {top_p} and {temperature}")
    stream = _Stream(model, video)
    return _one_by_one(stream, words, _length(model, length), lambda x: draw(x / temperature, top_p, generator))


def draw(logits: Tensor, top_p: float, generator: torch.Generator | None = None) -> Tensor:
    """(B, V) -> (B,): an index of each row, drawn from the nucleus of softmax(logits); the most probable one is always in it."""
    probabilities, order = logits.softmax(-1).sort(-1, descending=True)
    before = probabilities.cumsum(-1) - probabilities
    kept = probabilities.masked_fill(before >= top_p, 0)
    return order.gather(-1, torch.multinomial(kept, 1, generator=generator))[:, 0]


@torch.no_grad()
def beam(model: VideoTextModel, video: Tensor, words: Words, length: int | None = None, *, beams: int = 4,
         length_penalty: float = 1.0) -> Tensor:  # fmt: skip
    """Beam search with `beams` partial captions; returns the ids (B, L) of the caption with the highest log-probability / (tokens **
    length_penalty). tokens counts words and their parts, start and end. length, errors: as in `greedy`."""
    stream, length = _Stream(model, video), _length(model, length)
    rows = torch.arange(len(video), device=video.device)
    stream.select(rows.repeat_interleave(beams))
    ids = torch.full((len(video), beams, 1), words.start, device=video.device)
    scores = torch.zeros(len(video), beams, device=video.device)
    scores[:, 1:] = float("-inf")  # the beams start equal, so only the first one may continue
    done = torch.zeros_like(scores, dtype=torch.bool)
    lengths = torch.ones_like(scores)
    while ids.shape[2] < length and not done.all():
        options = _continue(stream.next(ids[:, :, -1].flatten()).log_softmax(-1).view(*scores.shape, -1), done)
        vocabulary = options.shape[-1]
        scores, best = (scores[..., None] + options).flatten(1).topk(beams, dim=1)
        origin, word = best // vocabulary, best % vocabulary
        stream.select((rows[:, None] * beams + origin).flatten())
        ids = torch.cat((ids.gather(1, origin[..., None].expand(-1, -1, ids.shape[2])), word[..., None]), dim=2)
        done = done.gather(1, origin)
        lengths = lengths.gather(1, origin) + ~done
        done = done | (word == words.end)
    winner = (scores / lengths**length_penalty).argmax(1)
    return _finish(ids[rows, winner], words)


def _continue(log_probabilities: Tensor, done: Tensor) -> Tensor:
    """(B, beams, V): the log-probabilities, but a finished caption has one continuation, padding, with log-probability 0."""
    nothing = torch.full_like(log_probabilities[0, 0], float("-inf"))
    nothing[0] = 0
    return torch.where(done[..., None], nothing, log_probabilities)


class _Stream:
    """Takes words and gives logits of the next word; caches the keys and values of earlier words."""

    def __init__(self, model: VideoTextModel, video: Tensor):
        if model.caption_decoder is None:
            raise ParameterError("captioning: the model has no caption decoder")
        _, record = model.encode_video(video, return_intermediates=("video_tokens",))
        self.text, self.decoder, self.clips = model.text, model.caption_decoder, len(video)
        self.text_cache = self.text.new_cache()
        self.cache = self.decoder.new_cache(record["video_tokens"][0], len(video))

    def next(self, ids: Tensor) -> Tensor:
        """Newest words (B,) -> logits (B, V)."""
        return self.decoder.step(self.text.tokens(ids[:, None], cache=self.text_cache), self.cache)

    def select(self, rows: Tensor) -> None:
        """Continues with these rows of the batch."""
        self.text_cache, self.cache = select_rows(self.text_cache, rows), self.cache.select(rows)


def _one_by_one(stream: _Stream, words: Words, length: int, pick) -> Tensor:
    device = stream.cache.video[0][0].device
    ids = torch.full((stream.clips, 1), words.start, device=device)
    done = torch.zeros(stream.clips, dtype=torch.bool, device=device)
    while ids.shape[1] < length and not done.all():
        word = torch.where(done, 0, pick(stream.next(ids[:, -1])))
        done = done | (word == words.end)
        ids = torch.cat((ids, word[:, None]), dim=1)
    return _finish(ids, words)


def _finish(ids: Tensor, words: Words) -> Tensor:
    """Replaces the last token of captions without an end token (cut by the length) by the end token."""
    unfinished = ~(ids == words.end).any(1)
    ids[unfinished, -1] = words.end
    return ids


def _length(model: VideoTextModel, length: int | None) -> int:
    longest = model.text.context
    if length is None:
        return longest
    if not 2 <= length <= longest:
        raise ParameterError(f"captioning: length {length} is not in 2..{longest}")
    return length
