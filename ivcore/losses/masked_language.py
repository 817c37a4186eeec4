"""Masked language modelling: words hidden from the text encoder, guessed from the clip and the other words (BERT, arXiv 1810.04805;
with vision ALBEF, arXiv 2107.07651). An optional term: InternVideo's text encoder has an embedding for masked words, its decoder for
them was not published, so this head is a small one of our own.

    hidden = hide(ids, generator=generator)
    tokens = model.text.tokens(ids, hidden.mask(ids))
    loss = masked_language(head(tokens, video_tokens, ids, hidden), ids, hidden)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ivcore import distributed
from ivcore.encoders.caption_decoder import flat_video_tokens
from ivcore.losses.captioning import word_losses


@dataclass
class Hidden:
    """The hidden words of a batch: `places` int64 (B, K) in the text, `valid` bool (B, K) for those that count.

    K is the same for all texts of a length, so that nothing waits for a count.
    """

    places: Tensor
    valid: Tensor

    def mask(self, ids: Tensor) -> Tensor:
        """bool like ids (B, L), True = hidden."""
        columns = torch.arange(ids.shape[1], device=ids.device)
        return ((self.places[..., None] == columns) & self.valid[..., None]).any(1)

    def split(self, sizes: list[int]) -> list[Hidden]:
        """The same for consecutive pieces of the batch."""
        return [Hidden(*pair) for pair in zip(self.places.split(sizes), self.valid.split(sizes))]


def hide(ids: Tensor, share: float = 0.15, generator: torch.Generator | None = None) -> Hidden:
    """ids (B, L) -> a share of each text's words drawn at random, one at least where there is one; never start, end or padding."""
    order = torch.rand(ids.shape, generator=generator).to(ids.device)
    between = torch.arange(ids.shape[1], device=ids.device)[None]
    is_word = (between > 0) & (between < ids.argmax(-1, keepdim=True))
    count = is_word.sum(1, keepdim=True)
    wanted = (count * share).round().clamp_min(1).minimum(count)
    most = max(1, round(share * ids.shape[1]))
    places = order.masked_fill(~is_word, 2.0).topk(min(most, ids.shape[1]), largest=False).indices
    valid = torch.arange(places.shape[1], device=ids.device) < wanted
    return Hidden(places.where(valid, 0), valid)  # 0: a place that every cut of the text has


class MaskedLanguageHead(nn.Module):
    """Each hidden word's token attends to the text, then to the clip, and passes an MLP and BERT's predictor. Computed for hidden words only."""

    def __init__(self, width: int = 512, vision_width: int = 768, heads: int = 8, vocabulary: int = 49408):
        super().__init__()
        self.norm_words, self.norm_clip = nn.LayerNorm(width), nn.LayerNorm(vision_width)
        self.words = nn.MultiheadAttention(width, heads, batch_first=True)
        self.clip = nn.MultiheadAttention(
            width, heads, batch_first=True, kdim=vision_width, vdim=vision_width
        )
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        transform = nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)
        self.predictor = nn.Sequential(*transform, nn.Linear(width, vocabulary))

    def forward(self, text_tokens: Tensor, video_tokens: Tensor, ids: Tensor, hidden: Hidden) -> Tensor:
        """Tokens of the masked text (B, L, D), clip tokens (B, M, C), ids (B, L) -> logits (B, K, vocabulary)."""
        clip = self.norm_clip(flat_video_tokens(video_tokens, len(ids)))
        words = self.norm_words(text_tokens)
        padding = torch.arange(ids.shape[1], device=ids.device) > ids.argmax(-1, keepdim=True)
        x = words.take_along_dim(hidden.places[..., None], 1)
        x = x + self.words(x, words, words, key_padding_mask=padding, need_weights=False)[0]
        x = x + self.clip(x, clip, clip, need_weights=False)[0]
        return self.predictor(x + self.mlp(x))


def masked_language(logits: Tensor, ids: Tensor, hidden: Hidden, count: Tensor | None = None) -> Tensor:
    """Logits (B, K, V) of the hidden words -> their mean cross-entropy; `count` and ranks as in losses.captioning."""
    count = distributed.mean(hidden.valid.sum()) if count is None else count
    losses = word_losses(logits, ids.gather(1, hidden.places))
    return (losses * hidden.valid).sum() / count.clamp_min(1)
