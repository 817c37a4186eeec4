"""Answers from clip, question and caption decoder together: video question answering and multiple choice (paper 4.3.5, 4.3.9).

The head reads three features side by side: the caption decoder's output at the end token, the clip's and the text's feature before their
projections. Published head: dropout, Linear, LayerNorm, GELU, dropout, Linear.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ivcore.encoders.video_text import VideoTextModel


class AnswerModel(nn.Module):
    """`m(video, ids)` scores `answers` answers of a question (B, answers); `m.rank(video, choices)` scores candidate texts (B, K).

    `video_text` comes without projections and with a caption decoder without predictor (`embed=0`, `vocabulary=0`).
    """

    def __init__(self, video_text: VideoTextModel, answers: int, dropout: float = 0.5):
        super().__init__()
        self.video_text = video_text
        text_width = video_text.text.ln_final.normalized_shape[0]
        width = video_text.visual_ln_post.normalized_shape[0] + 2 * text_width
        hidden = nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.GELU()
        self.head = nn.Sequential(nn.Dropout(dropout), *hidden, nn.Dropout(dropout), nn.Linear(2 * width, answers))

    @property
    def config(self) -> dict:
        """What `weights.load` cannot read off the shapes; saved beside the weights."""
        return self.video_text.config

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W) with CLIP's statistics."""
        return self.video_text.prepare(clips)

    def forward(self, video: Tensor, ids: Tensor) -> Tensor:
        """(B, 3, T, H, W), question ids (B, L) -> (B, answers)."""
        features, record = self.video_text.encode_video(video, return_intermediates=("video_tokens",))
        return self._score(features, record["video_tokens"][0], ids)

    def rank(self, video: Tensor, choices: Tensor) -> Tensor:
        """(B, 3, T, H, W), ids of K candidate texts a clip (B, K, L) -> (B, K), with a head of one output."""
        features, record = self.video_text.encode_video(video, return_intermediates=("video_tokens",))
        many = choices.shape[1]
        repeated = (x.repeat_interleave(many, dim=0) for x in (features, record["video_tokens"][0]))
        return self._score(*repeated, choices.flatten(0, 1)).view(len(choices), many)

    def _score(self, features: Tensor, video_tokens: Tensor, ids: Tensor) -> Tensor:
        text, record = self.video_text.encode_text(ids, return_intermediates=("text_tokens",))
        decoded = self.video_text.caption_decoder(record["text_tokens"][0], video_tokens)
        end = decoded[torch.arange(len(ids), device=ids.device), ids.argmax(-1)]
        return self.head(torch.cat((end, features, text), dim=-1))
