"""Caption decoders: predict the next word from the text encoder's tokens and the video's tokens (paper 3.1.2, 3.2).

`CaptionDecoder` is that of the released code, made of CoCa's blocks (arXiv 2205.01917): learnt queries pool the video, all heads share one
key-value head, attention and feed-forward run in parallel. `PlainCaptionDecoder` is that of the paper: a standard six-layer transformer
decoder of width 768 with a two-layer MLP. Both have the interface

    decoder(text_tokens (B, L, C), video_tokens) -> logits (B, L, vocabulary)
    cache = decoder.new_cache(video_tokens, batch); decoder.step(newest text token (B, 1, C), cache) -> logits (B, vocabulary)

Video tokens are (B, M, Cv), or (1+hw, B, T, Cv) as published. With k consecutive texts for each video, pass the tokens of the B / k videos.
Without a predictor (`vocabulary=0`) a decoder returns tokens (B, L, `width`) instead of logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ivcore.encoders.attention import attend
from ivcore.encoders.checkpointing import checkpoint_block
from ivcore.encoders.clip import Attention, Cache, extend
from ivcore.encoders.intermediates import Record, add_to, start_record, with_record
from ivcore.errors import ParameterError


@dataclass
class DecoderCache:
    """Keys and values of each layer, for the video and for the words so far."""

    video: list[tuple[Tensor, Tensor]]
    words: list[Cache]

    def select(self, rows: Tensor) -> DecoderCache:
        """The cache for other rows of the batch (beam search)."""
        return DecoderCache([(k[rows], v[rows]) for k, v in self.video], select_rows(self.words, rows))


def select_rows(cache: list[Cache], rows: Tensor) -> list[Cache]:
    """The words' keys and values for other rows of the batch."""
    return [[(k[rows], v[rows]) for k, v in layer] for layer in cache]


def flat_video_tokens(tokens: Tensor, batch: int) -> Tensor:
    """(B, M, C) or the published (1+hw, B, T, C) -> (B, M, C); attention ignores the order of tokens. batch: number of texts, a multiple of B.

    ParameterError for another shape.
    """
    if tokens.dim() == 3 and batch % len(tokens) == 0:
        return tokens
    if tokens.dim() == 4 and batch % tokens.shape[1] == 0:
        return rearrange(tokens, "l b t c -> b (l t) c")
    raise ParameterError(
        f"video tokens: expected (B, M, C) or (1+hw, B, T, C) for {batch} texts, got {tuple(tokens.shape)}"
    )


# --- the published decoder -------------------------------------------------------------------------------------------


class ScaleNorm(nn.Module):
    """LayerNorm with a learnt scale `gamma` and a constant shift `beta` (a buffer, zero in real use)."""

    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.register_buffer("beta", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta)


class SwiGLU(nn.Module):
    """silu(second half) * first half."""

    def forward(self, x: Tensor) -> Tensor:
        x, gate = x.chunk(2, dim=-1)
        return F.silu(gate) * x


class Rotary(nn.Module):
    """Rotary positions (arXiv 2104.09864) on heads (B, h, N, d); dimensions i and i + d/2 rotate together."""

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("inv_freq", 10000.0 ** -(torch.arange(0, width, 2).float() / width))

    def forward(self, x: Tensor, begin: int = 0) -> Tensor:
        angle = torch.arange(begin, begin + x.shape[-2], device=x.device)[:, None] * self.inv_freq
        cos, sin = (torch.cat((y, y), dim=-1).to(x.dtype) for y in (angle.cos(), angle.sin()))
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin


def _shared_head(q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool, record: Record, name: str) -> Tensor:
    """Multi-query attention: q (B, heads, N, d) with one head of keys and values (B, 1, M, d) -> (B, N, heads*d)."""
    return attend(q, k.expand(-1, heads, -1, -1), v.expand(-1, heads, -1, -1), causal=causal, record=record, name=name)


class ParallelBlock(nn.Module):
    """Causal attention with one key-value head and a parallel SwiGLU feed-forward; both share one norm and one input projection."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.split = heads, (width, width // heads, width // heads, 8 * width)
        self.norm = ScaleNorm(width)
        self.rotary_emb = Rotary(width // heads)
        self.fused_attn_ff_proj = nn.Linear(width, sum(self.split), bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.ff_out = nn.Sequential(SwiGLU(), nn.Linear(4 * width, width, bias=False))

    def forward(self, x: Tensor, record: Record = None, cache: Cache | None = None) -> Tensor:
        q, k, v, ff = self.fused_attn_ff_proj(self.norm(x)).split(self.split, dim=-1)
        begin = cache[0][0].shape[-2] if cache else 0
        q = self.rotary_emb(rearrange(q, "b n (h d) -> b h n d", h=self.heads), begin)
        k, v = self.rotary_emb(k[:, None], begin), v[:, None]
        if cache is not None:
            k, v = extend(cache, k, v)
        attended = _shared_head(q, k, v, self.heads, cache is None, record, "word_attention")
        return self.attn_out(attended) + self.ff_out(ff)


class CrossBlock(nn.Module):
    """Attention over the video's tokens with one key-value head; with `feedforward`, a parallel SwiGLU feed-forward."""

    def __init__(self, width: int, context: int, heads: int, *, norm_context=False, feedforward=True):
        super().__init__()
        self.heads = heads
        self.norm = ScaleNorm(width)
        self.context_norm = ScaleNorm(context) if norm_context else nn.Identity()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(context, 2 * (width // heads), bias=False)
        self.to_out = nn.Linear(width, width, bias=False)
        self.ff = None
        if feedforward:
            parts = nn.Linear(width, 8 * width, bias=False), SwiGLU(), nn.Linear(4 * width, width, bias=False)
            self.ff = nn.Sequential(*parts)

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """(B, M, C) -> keys and values (B, 1, M, d)."""
        return self.to_kv(self.context_norm(context))[:, None].chunk(2, dim=-1)

    def forward(
        self, x: Tensor, keys_values: tuple[Tensor, Tensor], record: Record = None, name: str = "video_attention"
    ) -> Tensor:
        x = self.norm(x)
        asked = self.to_q(x).flatten(0, 1).unflatten(0, (len(keys_values[0]), -1))  # all texts of a video at once
        q = rearrange(asked, "b n (h d) -> b h n d", h=self.heads)
        out = self.to_out(_shared_head(q, *keys_values, self.heads, False, record, name)).view_as(x)
        return out if self.ff is None else out + self.ff(x)


class Residual(nn.Module):
    """x + fn(x, ...), under the published name `fn`."""

    def __init__(self, fn: nn.Module):
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, *args) -> Tensor:
        return x + self.fn(x, *args)


class CaptionDecoder(nn.Module):
    """The released decoder. `vocabulary=0` omits the predictor: the output is the last layer's tokens."""

    intermediates = ("pooled_visual_tokens", "tokens", "word_attention", "video_attention", "pooling_attention")

    def __init__(self, width=768, vision_width=1024, layers=4, heads=12, vocabulary=49408, visual_queries=256):
        super().__init__()
        self.heads, self.width = heads, width
        self.visual_queries = nn.Parameter(torch.randn(visual_queries, width))
        self.visual_attn_pooler = CrossBlock(width, vision_width, heads, norm_context=True, feedforward=False)
        self.visual_pooler_norm = nn.LayerNorm(width)
        self.text_norm = nn.LayerNorm(width)
        self.multimodal_layers = nn.ModuleList(
            nn.ModuleList([Residual(ParallelBlock(width, heads)), Residual(CrossBlock(width, width, heads))])
            for _ in range(layers)
        )
        self.predictor = nn.Identity()
        if vocabulary:
            hidden = nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)
            self.predictor = nn.Sequential(nn.LayerNorm(width), *hidden, nn.Linear(width, vocabulary))
        self.activation_checkpointing = "nothing"

    @property
    def config(self) -> dict:
        """The settings that `weights.load` cannot infer from shapes; saved with the weights."""
        return {"caption_heads": self.heads}

    def forward(self, text_tokens: Tensor, video_tokens: Tensor, return_intermediates: tuple[str, ...] = ()):
        """(B, L, C) and video tokens -> logits (B, L, vocabulary); position i knows words up to i."""
        record = start_record(return_intermediates, self.intermediates)
        return with_record(self.predictor(self.tokens(text_tokens, video_tokens, record)), record)

    def tokens(self, text_tokens: Tensor, video_tokens: Tensor, record: Record = None) -> Tensor:
        """The predictor's input: (B, L, C) and video tokens -> (B, L, C)."""
        pooled = self.pool(flat_video_tokens(video_tokens, len(text_tokens)), record)
        x = self.text_norm(text_tokens)
        for words, video in self.multimodal_layers:
            x = checkpoint_block(self, self._layer, x, words, video, pooled, record)
            add_to(record, "tokens", x)
        return x

    @staticmethod
    def _layer(x: Tensor, words: Residual, video: Residual, pooled: Tensor, record: Record) -> Tensor:
        return video(words(x, record), video.fn.keys_values(pooled), record)

    def pool(self, video_tokens: Tensor, record: Record = None) -> Tensor:
        """(B, M, Cv) -> (B, visual_queries, C): the tokens that the decoder attends to."""
        pooler = self.visual_attn_pooler
        queries = self.visual_queries.expand(len(video_tokens), -1, -1)
        pooled = self.visual_pooler_norm(pooler(queries, pooler.keys_values(video_tokens), record, "pooling_attention"))
        add_to(record, "pooled_visual_tokens", pooled)
        return pooled

    def new_cache(self, video_tokens: Tensor, batch: int) -> DecoderCache:
        """A cache with the keys and values of the video, and no words yet."""
        pooled = self.pool(flat_video_tokens(video_tokens, batch))
        return DecoderCache(
            [video.fn.keys_values(pooled) for _, video in self.multimodal_layers], [[] for _ in self.multimodal_layers]
        )

    def step(self, text_token: Tensor, cache: DecoderCache) -> Tensor:
        """The newest text token (B, 1, C) -> logits of the next word (B, vocabulary)."""
        x = self.text_norm(text_token)
        for (words, video), keys_values, layer_cache in zip(
            self.multimodal_layers, cache.video, cache.words, strict=True
        ):
            x = video(words(x, None, layer_cache), keys_values)
        return self.predictor(x)[:, 0]


# --- the decoder as the paper describes it ---------------------------------------------------------------------------


class VideoAttention(nn.Module):
    """Standard multi-head attention over the video's tokens."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """(B, M, C) -> keys and values (B, heads, M, d)."""
        k, v = self.key_value(context).chunk(2, dim=-1)
        return tuple(rearrange(y, "b m (h d) -> b h m d", h=self.heads) for y in (k, v))

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor], record: Record = None) -> Tensor:
        asked = self.query(x).flatten(0, 1).unflatten(0, (len(keys_values[0]), -1))  # all texts of a video at once
        q = rearrange(asked, "b n (h d) -> b h n d", h=self.heads)
        return self.out(attend(q, *keys_values, record=record, name="video_attention")).view_as(x)


class PlainLayer(nn.Module):
    """Pre-norm decoder layer: causal attention, attention over the video, feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.words, self.clip = Attention(width, heads, causal=True), VideoAttention(width, heads)
        self.norm_words, self.norm_clip, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, keys_values: tuple[Tensor, Tensor], record: Record = None, cache: Cache | None = None
    ) -> Tensor:
        x = x + self.dropout(self.words(self.norm_words(x), None, cache))
        x = x + self.dropout(self.clip(self.norm_clip(x), keys_values, record))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class PlainCaptionDecoder(nn.Module):
    """The paper's decoder, "a standard 6-layer transformer decoder with c = 768 followed by a two-layer MLP" (3.2)."""

    intermediates = ("tokens", "video_attention")

    def __init__(self, text_width=768, vision_width=1024, width=768, layers=6, heads=12, vocabulary=49408, dropout=0.0):
        super().__init__()
        self.heads, self.width = heads, width
        self.text_in = nn.Linear(text_width, width) if text_width != width else nn.Identity()
        self.clip_in = nn.Sequential(nn.LayerNorm(vision_width), nn.Linear(vision_width, width))
        self.layers = nn.ModuleList(PlainLayer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.predictor = nn.Identity()
        if vocabulary:
            self.predictor = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, vocabulary))
        self.activation_checkpointing = "nothing"

    @property
    def config(self) -> dict:
        """The settings that `weights.load` cannot infer from shapes; saved with the weights."""
        return {"caption_heads": self.heads}

    def forward(self, text_tokens: Tensor, video_tokens: Tensor, return_intermediates: tuple[str, ...] = ()):
        """(B, L, C) and video tokens -> logits (B, L, vocabulary); position i knows words up to i."""
        record = start_record(return_intermediates, self.intermediates)
        return with_record(self.predictor(self.tokens(text_tokens, video_tokens, record)), record)

    def tokens(self, text_tokens: Tensor, video_tokens: Tensor, record: Record = None) -> Tensor:
        """The predictor's input: (B, L, C) and video tokens -> (B, L, width)."""
        context = self.clip_in(flat_video_tokens(video_tokens, len(text_tokens)))
        x = self.text_in(text_tokens)
        for layer in self.layers:
            x = checkpoint_block(self, self._layer, x, layer, context, record)
            add_to(record, "tokens", x)
        return self.norm(x)

    @staticmethod
    def _layer(x: Tensor, layer: PlainLayer, context: Tensor, record: Record) -> Tensor:
        return layer(x, layer.clip.keys_values(context), record)

    def new_cache(self, video_tokens: Tensor, batch: int) -> DecoderCache:
        """A cache with the keys and values of the video, and no words yet."""
        context = self.clip_in(flat_video_tokens(video_tokens, batch))
        return DecoderCache([layer.clip.keys_values(context) for layer in self.layers], [[] for _ in self.layers])

    def step(self, text_token: Tensor, cache: DecoderCache) -> Tensor:
        """The newest text token (B, 1, C) -> logits of the next word (B, vocabulary)."""
        x = self.text_in(text_token)
        for layer, keys_values, layer_cache in zip(self.layers, cache.video, cache.words, strict=True):
            x = layer(x, keys_values, None, layer_cache)
        return self.predictor(self.norm(x))[:, 0]
