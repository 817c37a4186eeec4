"""CLIP (arXiv 2103.00020): the image and text transformers that the multimodal branch starts from (paper 3.1.2, 3.2).

Parameters have OpenAI's names. Images are float (B, 3, H, W) in CLIP's normalisation; ids are int (B, L), 0 = padding; the end token has
the largest id, and a text's feature is read at its position.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ivcore.encoders.attention import attend
from ivcore.encoders.checkpointing import checkpoint_block, checkpoint_selectively
from ivcore.encoders.intermediates import Record, add_to, start_record, with_record
from ivcore.encoders.normalisation import CLIP, normalise
from ivcore.errors import ParameterError

Cache = list[tuple[Tensor, Tensor]]  # keys and values of each layer, for tokens already seen


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the activation of OpenAI's weights."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(1.702 * x).div_(1.702)  # the same, but keeps half as much for the backward pass


class Attention(nn.Module):
    """Self-attention with torch.nn.MultiheadAttention's parameters, batch first, with the fused kernel."""

    def __init__(self, width: int, heads: int, causal: bool = False):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, record: Record = None, cache: Cache | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D). With a cache, x is only the newest token, which is added to the cache."""
        return self.mix(self.project(x), record, cache)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, D) -> queries, keys, values (B, N, D)."""
        return F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)

    def mix(
        self, projected: tuple[Tensor, Tensor, Tensor], record: Record = None, cache: Cache | None = None
    ) -> Tensor:
        """Queries, keys, values (B, N, D) -> the output of each query (B, N, D)."""
        q, k, v = (rearrange(y, "b n (h d) -> b h n d", h=self.heads) for y in projected)
        if cache is not None:
            k, v = extend(cache, k, v)
        return self.out_proj(attend(q, k, v, causal=self.causal and cache is None, record=record))


def extend(cache: Cache, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Appends keys and values (.., N, d) to a layer's cache (at first an empty list); returns all keys and values."""
    if cache:
        past_k, past_v = cache.pop()
        k, v = torch.cat((past_k, k), dim=-2), torch.cat((past_v, v), dim=-2)
    cache.append((k, v))
    return k, v


class FeedForward(nn.Module):
    """c_fc -> activation -> c_proj."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0, quick_gelu: bool = True):
        super().__init__()
        self.c_fc = nn.Linear(width, hidden)
        self.gelu = QuickGELU() if quick_gelu else nn.GELU()
        self.dropout = nn.Dropout(dropout)
        self.c_proj = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(self.c_fc(x))

    def finish(self, hidden: Tensor) -> Tensor:
        """The part after c_fc."""
        return self.c_proj(self.dropout(self.gelu(hidden)))


class Block(nn.Module):
    """Pre-norm transformer block with CLIP's names."""

    def __init__(self, width: int, heads: int, causal: bool = False, quick_gelu: bool = True):
        super().__init__()
        self.attn = Attention(width, heads, causal)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, 4 * width, quick_gelu=quick_gelu)
        self.ln_2 = nn.LayerNorm(width)
        self.activation_checkpointing = "nothing"

    def forward(self, x: Tensor, record: Record = None, cache: Cache | None = None) -> Tensor:
        projected = checkpoint_selectively(self, lambda y: self.attn.project(self.ln_1(y)), x)
        x = x + self.attn.mix(projected, record, cache)
        hidden = checkpoint_selectively(self, lambda y: self.mlp.c_fc(self.ln_2(y)), x)
        return x + checkpoint_selectively(self, self.mlp.finish, hidden)


def act_as(blocks: nn.ModuleList, others: nn.ModuleList) -> None:
    """Gives `blocks` the activation of the blocks whose weights they get, because CLIPs differ in it."""
    for block, other in zip(blocks, others, strict=True):
        block.mlp.gelu = type(other.mlp.gelu)()


class Transformer(nn.Module):
    """The blocks, under CLIP's name `resblocks`."""

    def __init__(self, width: int, layers: int, heads: int, causal: bool = False, quick_gelu: bool = True):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads, causal, quick_gelu) for _ in range(layers))

    def forward(self, x: Tensor, record: Record = None, cache: list[Cache] | None = None) -> Tensor:
        for i, block in enumerate(self.resblocks):
            x = checkpoint_block(block, block, x, record, None if cache is None else cache[i])
            add_to(record, "tokens", x)
        return x


class TextEncoder(nn.Module):
    """Causal text transformer. `text(ids)` gives embeddings (B, E), `text.tokens(ids)` the normalised tokens (B, L, D).

    mask_embedding: adds InternVideo-MM's learnt embedding for masked words. end: id of the end token; None: the largest id of a text.
    """

    intermediates = ("tokens", "attention", "text_tokens")

    def __init__(self, embed=512, width=512, layers=12, heads=8, context=77, vocabulary=49408, *,
                 mask_embedding=False, quick_gelu=True, end: int | None = None):  # fmt: skip
        super().__init__()
        self.context, self.end = context, end
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.empty(context, width).normal_(std=0.01))
        self.text_mask_embedding = nn.Parameter(torch.zeros(1, 1, width)) if mask_embedding else None
        self.transformer = Transformer(width, layers, heads, causal=True, quick_gelu=quick_gelu)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, embed).normal_(std=width**-0.5)) if embed else None
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def forward(self, ids: Tensor, masked: Tensor | None = None, return_intermediates: tuple[str, ...] = ()):
        """ids (B, L), masked bool (B, L) or None -> embeddings (B, E), not normalised."""
        record = start_record(return_intermediates, self.intermediates)
        tokens = self.tokens(ids, masked, record)
        add_to(record, "text_tokens", tokens)
        return with_record(self.embed(tokens, ids), record)

    def embed(self, tokens: Tensor, ids: Tensor) -> Tensor:
        """Tokens (B, L, D) -> the projected end token (B, E), or (B, D) if the model has no projection."""
        end = self.at_end(tokens, ids)
        return end if self.text_projection is None else end @ self.text_projection

    def at_end(self, tokens: Tensor, ids: Tensor) -> Tensor:
        """Tokens (B, L, D) of ids (B, L) -> the end token of each text (B, D)."""
        places = (ids if self.end is None else (ids == self.end).int()).argmax(-1)
        return tokens[torch.arange(len(ids), device=ids.device), places]

    def tokens(
        self, ids: Tensor, masked: Tensor | None = None, record: Record = None, cache: list[Cache] | None = None
    ) -> Tensor:
        """ids (B, L) -> tokens after ln_final (B, L, D). With a cache (see new_cache), ids has only the newest token.

        ParameterError for another shape, or more tokens than the context.
        """
        begin = cache[0][0][0].shape[-2] if cache is not None and cache[0] else 0
        if ids.dim() != 2 or begin + ids.shape[1] > self.context:
            raise ParameterError(
                f"text: expected ids (B, L) with at most {self.context} tokens, got {tuple(ids.shape)} after {begin}"
            )
        x = self.token_embedding(ids)
        if masked is not None:
            x = torch.where(masked[..., None], self.text_mask_embedding.to(x.dtype), x)
        x = x + self.positional_embedding[begin : begin + ids.shape[1]]
        return self.ln_final(self.transformer(x, record, cache))

    def new_cache(self) -> list[Cache]:
        """An empty key-value cache, one list a layer."""
        return [[] for _ in self.transformer.resblocks]


class ImageEncoder(nn.Module):
    """CLIP's ViT. `image(images)` gives embeddings (B, E) from the class token."""

    intermediates = ("tokens", "attention", "features")

    def __init__(self, embed=512, width=768, layers=12, heads=12, patch=16, image=224, *, quick_gelu=True):
        super().__init__()
        self.image, self.patch = image, patch
        scale = width**-0.5
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn((image // patch) ** 2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, layers, heads, quick_gelu=quick_gelu)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(scale * torch.randn(width, embed))

    def forward(self, images: Tensor, return_intermediates: tuple[str, ...] = ()):
        """(B, 3, H, W) -> embeddings (B, E), not normalised."""
        record = start_record(return_intermediates, self.intermediates)
        x = rearrange(self.conv1(images), "b d h w -> b (h w) d")
        x = torch.cat((self.class_embedding.to(x.dtype).expand(len(x), 1, -1), x), dim=1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x), record)
        features = self.ln_post(x[:, 0])
        add_to(record, "features", features)
        return with_record(features @ self.proj, record)


class Clip(nn.Module):
    """Image and text encoder with their learnt temperature; a video is the mean of its frames' embeddings."""

    def __init__(self, visual: ImageEncoder, text: TextEncoder):
        super().__init__()
        self.visual, self.text = visual, text
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W) with CLIP's statistics."""
        return normalise(clips, CLIP, self.visual.proj.dtype)

    @property
    def config(self) -> dict:
        """The settings that `weights.load` cannot infer from shapes, under published names; saved with the weights."""
        vision, text = (tower.transformer.resblocks[0] for tower in (self.visual, self.text))
        config = {"vision_heads": vision.attn.heads, "transformer_heads": text.attn.heads}
        config["quick_gelu"] = isinstance(vision.mlp.gelu, QuickGELU)
        if isinstance(text.mlp.gelu, QuickGELU) != config["quick_gelu"]:
            config["text_quick_gelu"] = not config["quick_gelu"]
        return config if self.text.end is None else config | {"eos_token_id": self.text.end}

    def encode_image(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, E)."""
        return self.visual(images)

    def encode_video(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, E), the mean over frames of the embeddings."""
        frames = self.visual(rearrange(video, "b c t h w -> (b t) c h w"))
        return rearrange(frames, "(b t) e -> b t e", b=len(video)).mean(1)

    def encode_text(self, ids: Tensor) -> Tensor:
        """(B, L) -> (B, E)."""
        return self.text(ids)

    def forward(self, images: Tensor, ids: Tensor) -> Tensor:
        """Similarity logits (images, texts): exp(logit_scale) * cosine."""
        return similarity(self.encode_image(images), self.encode_text(ids), self.logit_scale)


def similarity(videos: Tensor, texts: Tensor, logit_scale: Tensor) -> Tensor:
    """exp(logit_scale) * cosine of every (B, E) with every (M, E): (B, M)."""
    return logit_scale.exp() * F.normalize(videos, dim=-1) @ F.normalize(texts, dim=-1).T
