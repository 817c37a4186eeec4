"""InternVideo's multimodal model: UniFormerV2 (global blocks only) and CLIP's text encoder (paper 3.1.2, 3.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ivcore.encoders.clip import Clip, QuickGELU, TextEncoder, act_as, similarity
from ivcore.encoders.intermediates import add_to, start_record, with_record
from ivcore.encoders.normalisation import CLIP, normalise
from ivcore.encoders.uniformerv2 import UniFormerV2


class VideoTextModel(nn.Module):
    """`m.encode_video(video)` and `m.encode_text(ids)` give embeddings (B, E), not normalised; similarity is exp(logit_scale)*cosine.

    A clip of one frame is an image. embed=0: no projections, as in fine-tuning for question answering. caption_decoder: None or one of
    encoders.caption_decoder; encoders.generate writes captions with it.

    caption_query: the decoder also reads the fused feature, as one more token. The published decoder reads only the last block's tokens
    (False). Without local blocks each of these knows only its own frame, so captions cannot tell the order of frames.
    """

    def __init__(
        self,
        visual: UniFormerV2,
        text: TextEncoder,
        embed: int = 512,
        caption_decoder: nn.Module | None = None,
        caption_query: bool = False,
    ):
        super().__init__()
        self.caption_query = caption_query
        self.frozen: tuple[str, ...] = ()
        width = visual.class_embedding.shape[0]
        self.visual, self.text = visual, text
        self.visual_ln_post = nn.LayerNorm(width)
        self.visual_proj = nn.Parameter(torch.randn(width, embed) * width**-0.5) if embed else None
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.caption_decoder = caption_decoder

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W) with CLIP's statistics."""
        return normalise(clips, CLIP, self.visual.conv1.weight.dtype)

    @property
    def config(self) -> dict:
        """The settings that `weights.load` cannot infer from shapes, under published names; saved with the weights."""
        heads = self.text.transformer.resblocks[0].attn.heads
        rest = {} if self.caption_decoder is None else self.caption_decoder.config
        if not isinstance(self.text.transformer.resblocks[0].mlp.gelu, QuickGELU):
            rest["text_quick_gelu"] = False
        if self.text.end is not None:
            rest["eos_token_id"] = self.text.end
        return rest | {
            "transformer_heads": heads,
            "vision": self.visual.config,
            "return_list": self.visual.config["return_list"],
            "caption_query": self.caption_query,
        }

    def resize_positions(self, frames: int, height: int, width: int | None = None) -> VideoTextModel:
        """Changes the expected frame size, see UniFormerV2.resize_positions. Returns self."""
        self.visual.resize_positions(frames, height, width)
        return self

    def freeze(self, *parts: str) -> VideoTextModel:
        """Freezes `visual` or `text`: no gradients, and eval mode (no dropout) even after train(). Returns self."""
        self.frozen += parts
        for part in parts:
            getattr(self, part).requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> VideoTextModel:
        """Sets the mode; frozen parts stay in eval mode."""
        super().train(mode)
        for part in self.frozen:
            getattr(self, part).eval()
        return self

    def encode_video(self, video: Tensor, return_intermediates: tuple[str, ...] = ()):
        """(B, 3, T, H, W) -> (B, E). Intermediate "video_tokens": the last block's tokens (B, T*(1+hw), D), without norm and projection;
        with caption_query, followed by the fused feature."""
        record = start_record(return_intermediates, self.visual.intermediates)
        features, _ = self.visual.encode(video, record)
        features = self.visual_ln_post(features)
        if self.caption_query and "video_tokens" in return_intermediates:
            record["video_tokens"] = [torch.cat((record["video_tokens"][0], features[:, None]), dim=1)]
        add_to(record, "features", features)
        return with_record(self._projected(features), record)

    def gather(self, tokens: Tensor) -> Tensor:
        """`visual.frame_tokens` of the frames of a clip (B, T, G, 1+hw, D) -> (B, E), equal to that of `encode_video`."""
        return self._projected(self.visual_ln_post(self.visual.gather(tokens)))

    def _projected(self, features: Tensor) -> Tensor:
        return features if self.visual_proj is None else features @ self.visual_proj

    def encode_text(self, ids: Tensor, masked: Tensor | None = None, return_intermediates: tuple[str, ...] = ()):
        """ids (B, L) -> (B, E). Intermediate "text_tokens": all tokens after ln_final (B, L, W)."""
        return self.text(ids, masked, return_intermediates)

    def forward(self, video: Tensor, ids: Tensor) -> Tensor:
        """Similarity logits (clips, texts)."""
        return similarity(self.encode_video(video), self.encode_text(ids), self.logit_scale)

    def caption_logits(self, video: Tensor, ids: Tensor) -> Tensor:
        """Logits (B, L-1, vocabulary) of the words that follow ids[:, :-1]."""
        _, record = self.encode_video(video, return_intermediates=("video_tokens",))
        # the text encoder is causal: its tokens up to L-1 do not depend on the last word
        return self.caption_decoder(self.text.tokens(ids)[:, :-1], record["video_tokens"][0])

    @torch.no_grad()
    def zero_shot(self, video: Tensor, ids: Tensor) -> Tensor:
        """Probabilities (clips, texts): softmax over the texts."""
        return self(video, ids).softmax(-1)

    def no_weight_decay(self) -> set[str]:
        """timm's convention: names without weight decay (apart from one-dimensional parameters).

        All embeddings, as published: an embedding without a gradient in most steps, such as a rare word's, would only shrink. The caption
        decoder's learnt queries have no decay, either.
        """
        inner = {f"visual.{name}" for name in self.visual.no_weight_decay()}
        return inner | {"*embedding*", "caption_decoder.visual_queries"}

    def group_matcher(self, coarse: bool = False) -> dict:
        """timm's convention for layer-wise learning rates: layer i of both towers has one rate, parts that CLIP lacks have the highest."""
        stem = r"^visual\.(?:conv1|class_embedding|positional_embedding|ln_pre)|^text\.(?:token_embedding|positional_embedding)"
        return {"stem": stem, "blocks": [(r"^(?:visual|text)\.transformer\.resblocks\.(\d+)", None)]}

    def load_clip(self, clip: Clip) -> VideoTextModel:
        """Loads CLIP: for a clip of equal frames the output is then CLIP's, up to rounding (paper 3.2). Returns self."""
        self.visual.load_clip(clip.visual)
        self.visual_ln_post.load_state_dict(clip.visual.ln_post.state_dict())
        missing, _ = self.text.load_state_dict(clip.text.state_dict(), strict=False)
        assert set(missing) <= {"text_mask_embedding"}, missing
        act_as(self.text.transformer.resblocks, clip.text.transformer.resblocks)
        self.text.end = clip.text.end
        with torch.no_grad():
            self.visual_proj.copy_(clip.visual.proj)
            self.logit_scale.copy_(clip.logit_scale)
        return self
