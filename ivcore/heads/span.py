"""Finds the seconds of a video that answer a sentence: VSLNet (arXiv 2004.13931), as for Ego4D's natural language
queries (arXiv 2211.09529).

Video and words go through one encoder. Each moment attends to the words and is then weighted by its probability of
lying in the answer (query-guided highlighting). Two heads predict the start and, given that, the end.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NONE = -1e4  # a logit that softmax turns into 0, in half precision too


class SpanFinder(nn.Module):
    """`m(video (B, T, C), there bool (B, T), words (B, L, E), said bool (B, L))` gives logits start, end and highlight,
    each (B, T), very low where `there` is False.
    """

    def __init__(
        self,
        channels: int,
        word_channels: int,
        width: int = 128,
        heads: int = 8,
        dropout: float = 0.2,
        longest: int = 128,
    ):
        super().__init__()
        self.config = {"channels": channels, "word_channels": word_channels, "width": width, "heads": heads, "dropout": dropout, "longest": longest}  # fmt: skip
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.video_in = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, width))
        self.words_in = nn.Sequential(nn.Dropout(dropout), nn.Linear(word_channels, width))
        self.encoder = _Encoder(width, heads, dropout, longest)
        self.attention = _ContextQuery(width)
        self.pool = nn.Linear(width, 1)
        self.joined = nn.Linear(2 * width, width)
        self.highlight = nn.Linear(width, 1)
        self.answer_encoder = _Encoder(width, heads, dropout, longest)
        self.start_norm, self.end_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.start, self.end = _answer(width), _answer(width)

    @torch.no_grad()
    def standardise(self, features: Tensor) -> None:
        """Sets the normalisation of video channels to the mean and standard deviation of these features (n, C)."""
        self.mean.copy_(features.mean(0))
        self.scale.copy_(1 / features.std(0, correction=0).clamp_min(1e-6))

    def forward(self, video: Tensor, there: Tensor, words: Tensor, said: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        video = self.encoder(self.video_in((video - self.mean) * self.scale), there)
        words = self.encoder(self.words_in(words), said)
        seen = self.attention(video, there, words, said)
        weight = self.pool(words).masked_fill(~said[..., None], _NONE).softmax(1)
        sentence = (weight * words).sum(1, keepdim=True).expand_as(seen)
        seen = self.joined(torch.cat([seen, sentence], -1))
        highlight = self.highlight(seen)[..., 0]
        seen = seen * highlight.sigmoid()[..., None]
        begun = self.answer_encoder(seen, there)
        ended = self.answer_encoder(begun, there)
        begun, ended = self.start_norm(begun), self.end_norm(ended)
        logits = self.start(torch.cat([begun, seen], -1)), self.end(torch.cat([ended, seen], -1))
        return *(each[..., 0].masked_fill(~there, _NONE) for each in logits), highlight.masked_fill(~there, _NONE)


def _answer(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1))


class _Encoder(nn.Module):
    """VSLNet's feature encoder: positions, four depthwise convolutions, self-attention and an MLP, each with a residual
    connection.
    """

    def __init__(self, width: int, heads: int, dropout: float, longest: int, layers: int = 4, kernel: int = 7):
        super().__init__()
        self.positions = nn.Embedding(longest, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width), nn.Conv1d(width, width, 1), nn.ReLU())
            for _ in range(layers)
        )  # fmt: skip
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.mlp, self.dropout = nn.Linear(width, width), nn.Dropout(dropout)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(B, N, D), `there` True for real positions -> the same shape."""
        x = x + self.positions.weight[: x.shape[1]]
        for norm, convolution in zip(self.norms, self.convolutions):
            around = norm(x) * there[..., None]  # padding has no effect
            x = x + self.dropout(convolution(around.mT).mT)
        y = self.attention_norm(x)
        x = x + self.dropout(self.attention(y, y, y, key_padding_mask=~there, need_weights=False)[0])
        return x + self.dropout(self.mlp(self.mlp_norm(x)).relu())


class _ContextQuery(nn.Module):
    """Attention from moments to words, and among moments through the words (trilinear similarity)."""

    def __init__(self, width: int):
        super().__init__()
        self.video, self.words = nn.Linear(width, 1, bias=False), nn.Linear(width, 1, bias=False)
        self.both = nn.Parameter(torch.empty(width).normal_(std=width**-0.5))
        self.out = nn.Linear(4 * width, width)

    def forward(self, video: Tensor, there: Tensor, words: Tensor, said: Tensor) -> Tensor:
        alike = self.video(video) + self.words(words).mT + (video * self.both) @ words.mT
        by_word = alike.masked_fill(~said[:, None], _NONE).softmax(2)
        by_moment = alike.masked_fill(~there[..., None], _NONE).softmax(1)
        heard = by_word @ words
        others = by_word @ by_moment.mT @ video
        return self.out(torch.cat([video, heard, video * heard, video * others], -1))


@torch.no_grad()
def best_spans(start: Tensor, end: Tensor, count: int, overlap: float = 1.0) -> tuple[Tensor, Tensor]:
    """Logits (B, T) -> the `count` likeliest pairs of first and last moment (B, count, 2), best first, and their
    probabilities; fewer if T has fewer pairs.

    overlap: pairs whose IoU with a better pair is above this rank behind all others; 1 turns this off.
    """
    length = start.shape[1]
    first, last = torch.triu_indices(length, length, device=start.device)
    chance = start.float().softmax(1)[:, first] * end.float().softmax(1)[:, last]
    rank, chosen = chance.clone(), []
    for _ in range(min(count, len(first))):
        best = rank.argmax(1, keepdim=True)
        chosen.append(best)
        shared = torch.minimum(last, last[best]) - torch.maximum(first, first[best]) + 1
        union = (last - first) + (last - first)[best] + 2 - shared
        rank -= (shared > overlap * union).float()
        rank.scatter_(1, best, -torch.inf)
    place = torch.cat(chosen, 1)
    return torch.stack([first[place], last[place]], -1), chance.gather(1, place)
