"""InternVideo-MM checkpoints: both towers, alone (as published for inference) or under `clip.` beside `caption_decoder.`"""

from __future__ import annotations

import torch

from ivcore.encoders.caption_decoder import CaptionDecoder
from ivcore.encoders.video_text import VideoTextModel
from ivcore.weights.accounting import State, assemble, count, has, need, without_prefix
from ivcore.weights.clip import heads_of, text_encoder, text_name
from ivcore.weights.uniformerv2 import video_tower

WHAT = "InternVideo-MM checkpoint"


def is_video_text(state: State) -> bool:
    return has(state, "visual.transformer.dec.") or has(state, "clip.visual.")


def is_caption_decoder(state: State) -> bool:
    return has(state, "multimodal_layers.") or all(key.startswith("caption_decoder.") for key in state)


def video_text(state: State, config: dict) -> VideoTextModel:
    captions = without_prefix(state, "caption_decoder.")
    others = {key: value for key, value in state.items() if not key.startswith(("clip.", "caption_decoder."))}
    towers = without_prefix(state, "clip.") | others
    config = config | config.get("clip", {})
    vision = {"return_list": config.get("return_list")} | config.get("vision", {})
    if "vision_heads" in config:
        vision["heads"] = config["vision_heads"]
    projection = towers.get("visual_proj")
    with torch.device("meta"):
        model = VideoTextModel(
            video_tower(without_prefix(towers, "visual."), vision, WHAT),
            text_encoder(towers, config, WHAT),
            0 if projection is None else projection.shape[1],
            _caption_decoder(captions, config, WHAT) if captions else None,
        )
    renamed = {text_name(key): value for key, value in towers.items()}
    return assemble(
        model, renamed | {f"caption_decoder.{key}": value for key, value in captions.items()}, WHAT
    )


def caption_decoder(state: State, config: dict) -> CaptionDecoder:
    """A caption decoder alone."""
    what = "caption decoder checkpoint"
    state = without_prefix(state, "caption_decoder.") or state
    with torch.device("meta"):
        model = _caption_decoder(state, config, what)
    return assemble(model, state, what)


def _caption_decoder(state: State, config: dict, what: str) -> CaptionDecoder:
    queries, context = (
        need(state, "visual_queries", what),
        need(state, "visual_attn_pooler.to_kv.weight", what),
    )
    words = state.get("predictor.4.weight")
    width = queries.shape[1]
    return CaptionDecoder(
        width,
        context.shape[1],
        count(state, r"multimodal_layers\.(\d+)\."),
        config.get("transformer_heads") or heads_of(width, what),
        0 if words is None else words.shape[0],
        queries.shape[0],
    )
