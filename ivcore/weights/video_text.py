"""InternVideo-MM checkpoints: both towers, alone (as published for inference) or under `clip.` beside `caption_decoder.`"""

from __future__ import annotations

import torch

from ivcore.encoders.caption_decoder import CaptionDecoder, PlainCaptionDecoder
from ivcore.encoders.video_text import VideoTextModel
from ivcore.heads.answer import AnswerModel
from ivcore.weights.accounting import State, WeightsError, assemble, count, has, need, without_prefix
from ivcore.weights.clip import heads_of, text_encoder, text_name
from ivcore.weights.uniformerv2 import video_tower

WHAT = "InternVideo-MM checkpoint"


HEADS = ("vqa_classifier.", "rank_output.")


def is_video_text(state: State) -> bool:
    return has(state, "visual.transformer.dec.") or has(state, "clip.visual.")


def is_caption_decoder(state: State) -> bool:
    return has(state, "multimodal_layers.") or all(key.startswith("caption_decoder.") for key in state)


def video_text(state: State, config: dict) -> VideoTextModel | AnswerModel:
    for prefix in HEADS:
        if has(state, prefix):
            return _with_head(state, config, prefix)
    with torch.device("meta"):
        model = _empty(state, config)
    return assemble(model, _renamed(state), WHAT)


def _with_head(state: State, config: dict, prefix: str) -> AnswerModel:
    """A model fine-tuned for question answering or multiple choice."""
    head = without_prefix(state, prefix)
    rest = {key: value for key, value in state.items() if not key.startswith(prefix)}
    with torch.device("meta"):
        model = AnswerModel(_empty(rest, config), need(state, f"{prefix}5.weight", WHAT).shape[0])
    renamed = {f"video_text.{key}": value for key, value in _renamed(rest).items()}
    return assemble(model, renamed | {f"head.{key}": value for key, value in head.items()}, WHAT)


def _empty(state: State, config: dict) -> VideoTextModel:
    captions, towers = without_prefix(state, "caption_decoder."), _towers(state)
    config = config | config.get("clip", {})
    vision = {"return_list": config.get("return_list")} | config.get("vision", {})
    if "vision_heads" in config:
        vision["heads"] = config["vision_heads"]
    if ("visual_proj" in towers) != ("text_projection" in towers):  # fine-tuned answer models have neither
        raise WeightsError(
            f"{WHAT}: missing: {'text_projection' if 'visual_proj' in towers else 'visual_proj'}"
        )
    projection = towers.get("visual_proj")
    return VideoTextModel(
        video_tower(without_prefix(towers, "visual."), vision, WHAT, "visual."),
        text_encoder(towers, config, WHAT),
        0 if projection is None else projection.shape[1],
        _caption_decoder(captions, config, WHAT) if captions else None,
        bool(config.get("caption_query")),
    )


def _towers(state: State) -> State:
    """The towers' entries without `clip.` (or `text.`, ours); what belongs nowhere stays, to be reported."""
    return {
        key.removeprefix("clip.").removeprefix("text."): value
        for key, value in state.items()
        if not key.startswith("caption_decoder.")
    }


def _renamed(state: State) -> State:
    captions = {key: value for key, value in state.items() if key.startswith("caption_decoder.")}
    return {text_name(key): value for key, value in _towers(state).items()} | captions


def caption_decoder(state: State, config: dict) -> CaptionDecoder:
    """A caption decoder alone."""
    what = "caption decoder checkpoint"
    state = without_prefix(state, "caption_decoder.") or state
    with torch.device("meta"):
        model = _caption_decoder(state, config, what)
    return assemble(model, state, what)


def _caption_decoder(state: State, config: dict, what: str) -> CaptionDecoder | PlainCaptionDecoder:
    if has(state, "clip_in."):
        return _plain_caption_decoder(state, config, what)
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
        config.get("caption_heads") or config.get("transformer_heads") or heads_of(width, what),
        0 if words is None else words.shape[0],
        queries.shape[0],
    )


def _plain_caption_decoder(state: State, config: dict, what: str) -> PlainCaptionDecoder:
    """The paper's decoder; no published file has it, ours do."""
    width, vision = need(state, "clip_in.1.weight", what).shape
    words, text = need(state, "predictor.2.weight", what), state.get("text_in.weight")
    return PlainCaptionDecoder(
        width if text is None else text.shape[1],
        vision,
        width,
        count(state, r"layers\.(\d+)\."),
        config.get("caption_heads") or heads_of(width, what),
        words.shape[0],
    )
