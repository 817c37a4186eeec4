"""Loads InternVideo-MM checkpoints: both towers, alone (as published for inference), or under `clip.` with `caption_decoder.`"""

from __future__ import annotations

import torch

from ivcore.encoders.caption_decoder import CaptionDecoder, PlainCaptionDecoder
from ivcore.encoders.video_text import VideoTextModel
from ivcore.heads.answer import FEATURES, AnswerModel
from ivcore.weights.accounting import State, WeightsError, assemble, count, has, need, without_prefix
from ivcore.weights.clip import divisor, heads_of, text_encoder, text_name
from ivcore.weights.fields import Fields
from ivcore.weights.uniformerv2 import video_tower

WHAT = "InternVideo-MM checkpoint"


HEADS = ("vqa_classifier.", "rank_output.")


def is_video_text(state: State) -> bool:
    return has(state, "visual.transformer.dec.") or has(state, "clip.visual.")


def is_caption_decoder(state: State) -> bool:
    return has(state, "multimodal_layers.") or all(key.startswith("caption_decoder.") for key in state)


def video_text(state: State, config: Fields) -> VideoTextModel | AnswerModel:
    for prefix in HEADS:
        if has(state, prefix):
            return _with_head(state, config, prefix)
    with torch.device("meta"):
        model = _empty(state, config)
    return assemble(model, _renamed(state), WHAT)


def _with_head(state: State, config: Fields, prefix: str) -> AnswerModel:
    """A published model fine-tuned for question answering or multiple choice."""
    head = without_prefix(state, prefix)
    rest = {key: value for key, value in state.items() if not key.startswith(prefix)}
    renamed = {f"video_text.{key}": value for key, value in _renamed(rest).items()}
    return answer_model(renamed | {f"head.{key}": value for key, value in head.items()}, config)


def answer_model(state: State, config: Fields) -> AnswerModel:
    """A model for question answering or multiple choice, with this library's names."""
    layers = 3 if "head.9.weight" in state else 2
    answers = need(state, f"head.{4 * layers - 3}.weight", WHAT, dims=2).shape[0]
    features = config.get("answer_features")
    if features is not None and not (isinstance(features, list) and features and {*map(str, features)} <= {*FEATURES}):
        config.refuse("answer_features", features, f"some of {', '.join(FEATURES)}")
    with torch.device("meta"):
        model = AnswerModel(_empty(without_prefix(state, "video_text."), config), answers, features or FEATURES, layers)
    return assemble(model, state, WHAT)


def _empty(state: State, config: Fields) -> VideoTextModel:
    captions, towers = without_prefix(state, "caption_decoder."), _towers(state)
    inner = config.part("clip")
    if inner.values:  # the published constructors have a table in the table
        config.get("mc_type", "head", "n_answers", "n_choices")
        captioning, config = config, inner
    else:
        captioning = config
    vision = config.part("vision")
    for outside, inside in (("return_list", "return_list"), ("vision_heads", "heads")):
        value = config.get(outside)
        if value is not None and vision.values.setdefault(inside, value) != value:
            config.refuse(outside, value, f"vision's {vision.get(inside)}")
    config.get("embed_dim", "t_size", "n_texts")
    end = config.count("eos_token_id", most=10**7)
    if ("visual_proj" in towers) != ("text_projection" in towers):  # fine-tuned answer models have neither
        raise WeightsError(f"{WHAT}: missing: {'text_projection' if 'visual_proj' in towers else 'visual_proj'}")
    projection = towers.get("visual_proj")
    return VideoTextModel(
        video_tower(without_prefix(towers, "visual."), vision, WHAT, "visual.", config.flag("quick_gelu") is not False),
        text_encoder(towers, config, WHAT, config.flag("text_quick_gelu", "quick_gelu") is not False, end),
        0 if projection is None else projection.shape[1],
        _caption_decoder(captions, captioning, WHAT, config) if captions else None,
        bool(captioning.flag("caption_query")),
    )


def _towers(state: State) -> State:
    """The towers' entries without the prefix `clip.` (or ours, `text.`); unknown entries are kept, to be reported."""
    return {
        key.removeprefix("clip.").removeprefix("text."): value
        for key, value in state.items()
        if not key.startswith("caption_decoder.")
    }


def _renamed(state: State) -> State:
    captions = {key: value for key, value in state.items() if key.startswith("caption_decoder.")}
    return {text_name(key): value for key, value in _towers(state).items()} | captions


def caption_decoder(state: State, config: Fields) -> CaptionDecoder:
    """A caption decoder alone."""
    what = "caption decoder checkpoint"
    state = without_prefix(state, "caption_decoder.") or state
    with torch.device("meta"):
        model = _caption_decoder(state, config, what)
    return assemble(model, state, what)


def _caption_decoder(
    state: State, config: Fields, what: str, towers: Fields | None = None
) -> CaptionDecoder | PlainCaptionDecoder:
    if has(state, "clip_in."):
        return _plain_caption_decoder(state, config, what)
    queries = need(state, "visual_queries", what, dims=2)
    context = need(state, "visual_attn_pooler.to_kv.weight", what, dims=2)
    words = state.get("predictor.4.weight")
    width, layers = queries.shape[1], count(state, r"multimodal_layers\.(\d+)\.", what)
    config.agree(layers, "cap_layers")
    config.agree(queries.shape[0], "num_visual_queries")
    if towers is None:
        config.agree(layers, "n_layers")
        config.agree(width, "transformer_width")
        config.agree(context.shape[1], "vision_width")
        config.get("vocab_size", "L", "T", "text_len")
    return CaptionDecoder(
        width,
        context.shape[1],
        layers,
        config.count("caption_heads") or (towers or config).count("transformer_heads") or heads_of(width, what),
        0 if words is None else words.shape[0],
        queries.shape[0],
    )


def _plain_caption_decoder(state: State, config: Fields, what: str) -> PlainCaptionDecoder:
    """The paper's decoder; only files of this library have it, no published file."""
    width, vision = need(state, "clip_in.1.weight", what, dims=2).shape
    words, text = state.get("predictor.2.weight"), state.get("text_in.weight")
    return PlainCaptionDecoder(
        width if text is None else text.shape[1],
        vision,
        width,
        count(state, r"layers\.(\d+)\.", what),
        divisor(config, width, what, "caption_heads"),
        0 if words is None else words.shape[0],
    )
