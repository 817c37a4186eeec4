"""Answers from clip, question and caption decoder together: video question answering and multiple choice (paper 4.3.2,
4.3.3).

The head reads up to three features, concatenated in this order: the caption decoder's last hidden state at the
question's end token (the decoder reads the question instead of a caption); the clip's feature before its projection;
the text's feature at the end token, before its projection. The paper compares them and uses all three.

Published head: dropout, Linear to twice the width, LayerNorm, GELU, dropout, Linear. It has two layers, where the paper
has three. The paper does not give widths; here the hidden layer occurs twice.

The released code gives the decoder all ids but the last, so it cannot answer a question whose end token is in the last
position (of 77). Here the decoder reads all ids. It is causal, so nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError

FEATURES = ("caption", "video", "text")


class AnswerModel(nn.Module):
    """`m(video, ids)` scores `answers` answers of a question (B, answers); `m.rank(video, choices)` scores candidate
    texts (B, K).

    `video_text` has no projections, and its caption decoder no predictor (`embed=0`, `vocabulary=0`), as `answering`
    makes it. features: some of FEATURES. layers: 2 or 3. Parameters that no chosen feature uses are frozen.
    ParameterError for unknown features.
    """

    def __init__(
        self,
        video_text: VideoTextModel,
        answers: int,
        features: Sequence[str] = FEATURES,
        layers: int = 2,
        dropout: float = 0.5,
    ):
        super().__init__()
        if not features or set(features) - set(FEATURES):
            raise ParameterError(f"features = {list(features)}: must be one or more of {', '.join(FEATURES)}")
        if "caption" in features and video_text.caption_decoder is None:
            raise ParameterError(f"features = {list(features)}: the model has no caption decoder; leave caption out")
        self.video_text, self.features = video_text, tuple(name for name in FEATURES if name in features)
        widths = {
            "caption": getattr(video_text.caption_decoder, "width", 0),
            "video": video_text.visual_ln_post.normalized_shape[0],
            "text": video_text.text.ln_final.normalized_shape[0],
        }
        self.widths = {name: widths[name] for name in self.features}
        self._shape = answers, layers, dropout
        self.head = _head(sum(self.widths.values()), *self._shape)
        video_text.requires_grad_(False)
        for part in self._parts():
            part.requires_grad_(True)
        if video_text.text.text_mask_embedding is not None:
            video_text.text.text_mask_embedding.requires_grad_(False)

    def head_over(self, feature: str) -> nn.Sequential:
        """A new head with the same layers over one feature alone: (N, widths[feature]) -> (N, answers)."""
        return _head(self.widths[feature], *self._shape)

    def _parts(self) -> list[nn.Module]:
        """The parts of the model that compute the features."""
        model, own = self.video_text, set(self.features)
        read = [model.visual] if own & {"caption", "video"} else []
        read += [model.visual_ln_post] if "video" in own or ("caption" in own and model.caption_query) else []
        read += [model.text] if own & {"caption", "text"} else []
        return read + ([model.caption_decoder] if "caption" in own else [])

    @property
    def config(self) -> dict:
        """The settings that `weights.load` cannot infer from shapes; saved with the weights."""
        return self.video_text.config | ({} if self.features == FEATURES else {"answer_features": list(self.features)})

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W) with CLIP's statistics."""
        return self.video_text.prepare(clips)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay, in timm's form, as in `VideoTextModel`."""
        return {name if name.startswith("*") else f"video_text.{name}" for name in self.video_text.no_weight_decay()}

    def forward(self, video: Tensor, ids: Tensor) -> Tensor:
        """Video (B, 3, T, H, W), ids of one question a clip (B, L) -> (B, answers), or of several (B, K, L) -> (B, K,
        answers).
        """
        return self.head(self.read(video, ids))

    def read(self, video: Tensor, ids: Tensor) -> Tensor:
        """The head's inputs: arguments as in `forward` -> concatenated features (B, width) or (B, K, width); `widths`
        gives each feature's width.
        """
        told = (None, None) if self.features == ("text",) else self._of_videos(video)
        return self._of_texts(ids.flatten(0, -2), *told).unflatten(0, ids.shape[:-1])

    def rank(self, video: Tensor, choices: Tensor) -> Tensor:
        """Video (B, 3, T, H, W), ids of K candidate texts for each clip (B, K, L) -> (B, K), with a head of one
        output.
        """
        return self(video, choices)[..., 0]

    def _of_videos(self, video: Tensor) -> tuple[Tensor, Tensor]:
        features, record = self.video_text.encode_video(video, return_intermediates=("video_tokens",))
        return features, record["video_tokens"][0]

    def _of_texts(self, ids: Tensor, video: Tensor | None, video_tokens: Tensor | None) -> Tensor:
        """The head's inputs (N, width) for N texts, N / B for each clip."""
        text, found = self.video_text.text, []
        tokens = text.tokens(ids) if self.features != ("video",) else None
        if "caption" in self.features:
            found.append(text.at_end(self.video_text.caption_decoder.tokens(tokens, video_tokens), ids))
        if "video" in self.features:
            found.append(video.repeat_interleave(len(ids) // len(video), dim=0))
        if "text" in self.features:
            found.append(text.at_end(tokens, ids))
        return torch.cat(found, dim=-1)


def answering(
    pretrained: VideoTextModel, answers: int, features: Sequence[str] = FEATURES, layers: int = 2, dropout: float = 0.5
) -> AnswerModel:
    """A model from `weights.load` with a new head instead of its projections and its decoder's predictor. Changes the
    model in place.
    """
    pretrained.visual_proj = pretrained.text.text_projection = None
    if pretrained.caption_decoder is not None:
        pretrained.caption_decoder.predictor = nn.Identity()
    return AnswerModel(pretrained, answers, features, layers, dropout)


def _head(width: int, answers: int, layers: int, dropout: float) -> nn.Sequential:
    parts: list[nn.Module] = []
    for number in range(layers - 1):
        wide = (2 if number else 1) * width
        parts += [nn.Dropout(dropout), nn.Linear(wide, 2 * width), nn.LayerNorm(2 * width), nn.GELU()]
    return nn.Sequential(*parts, nn.Dropout(dropout), nn.Linear(2 * width, answers))
