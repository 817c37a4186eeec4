"""Video-text matching with hard negatives: does this text belong to this clip? (ALBEF, arXiv 2107.07651.) An optional term.

Each clip is shown with a wrong text and each text with a wrong clip, drawn the likelier the closer the contrastive term finds them.
The caption decoder reads text and clip together; its output at the end token, with both embeddings, is what the head judges, as the
answering head does (heads.answer).

    wrong = hard_negatives(videos, texts, logit_scale, generator=generator)
    loss = matching(model, head, videos, texts, video_tokens, text_tokens, ids, wrong)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.encoders.clip import similarity
from ivcore.encoders.video_text import VideoTextModel


class MatchingHead(nn.Module):
    """Features of pairs (N, `width`) -> logit of "they match" (N,)."""

    def __init__(self, width: int, hidden: int = 512):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)[:, 0]


@dataclass
class Negatives:
    """For each clip a wrong text, for each text a wrong clip: rows int64 (B,), and bool (B,) where there is one at all."""

    texts: Tensor
    has_text: Tensor
    clips: Tensor
    has_clip: Tensor


@torch.no_grad()
def hard_negatives(videos: Tensor, texts: Tensor, logit_scale: Tensor, same: Tensor | None = None,
                   generator: torch.Generator | None = None) -> Negatives:  # fmt: skip
    """Embeddings (B, E) of the pairs -> negatives from this batch (of this rank), drawn in proportion to the softmax of the logits.

    same: rows with one number are no negatives of each other (see losses.contrastive).
    """
    same = torch.arange(len(videos), device=videos.device) if same is None else same
    logits = similarity(videos.float(), texts.float(), logit_scale)
    logits = logits.masked_fill(same[:, None] == same, -torch.inf)
    return Negatives(*_draw(logits, generator), *_draw(logits.T, generator))


def _draw(logits: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """A column for each row, and whether the row has any that may be drawn."""
    possible = logits.isfinite().any(1)
    chances = logits.masked_fill(~possible[:, None], 0.0).softmax(1)
    drawn = torch.multinomial(chances.cpu(), 1, generator=generator)  # where the generator is
    return drawn[:, 0].to(logits.device), possible


def matching(model: VideoTextModel, head: MatchingHead, videos: Tensor, texts: Tensor, video_tokens: Tensor,
             text_tokens: Tensor, ids: Tensor, wrong: Negatives) -> tuple[Tensor, Tensor]:  # fmt: skip
    """-> (mean binary cross-entropy over right and wrong pairs, share judged rightly), from what the encoders gave for B pairs.

    video_tokens (B, M, C); text_tokens (B, L, D) whole, unlike for captioning.
    """
    own = torch.arange(len(ids), device=ids.device)
    clip, text = torch.cat((own, own, wrong.clips)), torch.cat((own, wrong.texts, own))
    decoded = model.caption_decoder.tokens(text_tokens[text], video_tokens[clip])
    end = decoded.take_along_dim(ids[text].argmax(-1)[:, None, None], 1)[:, 0]
    judged = head(torch.cat((end, videos[clip], texts[text]), dim=-1))
    judged = judged.to(torch.promote_types(judged.dtype, torch.float32))
    right = torch.cat((torch.ones_like(own), torch.zeros_like(own), torch.zeros_like(own))).to(judged.dtype)
    counts = torch.cat((torch.ones_like(wrong.has_text), wrong.has_text, wrong.has_clip))
    losses = F.binary_cross_entropy_with_logits(judged, right, reduction="none")
    hits = ((judged > 0) == (right > 0)) & counts
    return (losses * counts).sum() / counts.sum(), hits.sum() / counts.sum()
