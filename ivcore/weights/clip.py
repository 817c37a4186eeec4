"""CLIP checkpoints: OpenAI's, open_clip's and transformers', to one module under OpenAI's names.

Activations cannot be told from shapes: OpenAI's weights use QuickGELU, many of open_clip's do not. `config` may say so: quick_gelu
(open_clip's name) or hidden_act (transformers').
"""

from __future__ import annotations

import re

import torch

from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.weights.accounting import State, WeightsError, assemble, count, has, need

WHAT = "CLIP checkpoint"
NOTES = (
    "input_resolution",
    "context_length",
    "vocab_size",
)  # numbers that OpenAI's archives keep among the weights
TEXT = (
    "token_embedding.",
    "positional_embedding",
    "transformer.",
    "ln_final.",
    "text_projection",
    "text_mask_embedding",
)


def is_clip(state: State) -> bool:
    text = has(state, "transformer.") or has(state, "text.transformer.")
    return (has(state, "visual.transformer.") and text) or has(state, "text_model.", "vision_model.")


def clip(state: State, config: dict) -> Clip:
    if has(state, "vision_model."):
        state = from_transformers(state)
    state = {key.removeprefix("text."): value for key, value in state.items() if key not in NOTES}
    quick = _quick_gelu(config)
    need(state, "text_projection", WHAT)
    with torch.device("meta"):
        model = Clip(_image(state, config, quick), text_encoder(state, config, WHAT, quick))
    return assemble(model, {text_name(key): value for key, value in state.items()}, WHAT)


def text_name(key: str) -> str:
    """The text transformer stands at the root of published files, under `text.` here."""
    return f"text.{key}" if key.startswith(TEXT) else key


def text_encoder(state: State, config: dict, what: str, quick_gelu: bool = True) -> TextEncoder:
    """An empty text encoder of the published shape (call on the meta device)."""
    words, places = need(state, "token_embedding.weight", what), need(state, "positional_embedding", what)
    projection, width = state.get("text_projection"), words.shape[1]
    return TextEncoder(
        embed=0 if projection is None else projection.shape[1],
        width=width,
        layers=count(state, r"transformer\.resblocks\.(\d+)\."),
        heads=config.get("transformer_heads") or _configured(config, "text", width) or heads_of(width, what),
        context=places.shape[0],
        vocabulary=words.shape[0],
        mask_embedding="text_mask_embedding" in state,
        quick_gelu=quick_gelu,
    )


def _configured(config: dict, part: str, width: int) -> int | None:
    """Heads from the config.json of transformers or of open_clip, if it names them."""
    theirs = config.get(f"{part}_config") or {}
    open_clip = config.get("model_cfg", {}).get(f"{part}_cfg") or {}
    by_width = width // open_clip["head_width"] if "head_width" in open_clip else None
    return theirs.get("num_attention_heads") or open_clip.get("heads") or by_width


def heads_of(width: int, what: str) -> int:
    """All published CLIP-like transformers have heads of 64 channels."""
    if width % 64:
        raise WeightsError(
            f"{what}: the number of heads for width {width} cannot be told from shapes; give it in config"
        )
    return width // 64


def side_of(positions: torch.Tensor, patch: int, what: str) -> int:
    """Pixels of the square image that a table (1+hw, D) is for."""
    side = round((positions.shape[0] - 1) ** 0.5)
    if side * side + 1 != positions.shape[0]:
        raise WeightsError(
            f"{what}: the position table has {positions.shape[0]} rows, not one more than a square"
        )
    return side * patch


def _image(state: State, config: dict, quick_gelu: bool) -> ImageEncoder:
    kernel, table = need(state, "visual.conv1.weight", WHAT), need(state, "visual.positional_embedding", WHAT)
    width, patch = kernel.shape[0], kernel.shape[-1]
    return ImageEncoder(
        embed=need(state, "visual.proj", WHAT).shape[1],
        width=width,
        layers=count(state, r"visual\.transformer\.resblocks\.(\d+)\."),
        heads=config.get("vision_heads") or _configured(config, "vision", width) or heads_of(width, WHAT),
        patch=patch,
        image=side_of(table, patch, WHAT),
        quick_gelu=quick_gelu,
    )


def _quick_gelu(config: dict) -> bool:
    model = config.get("model_cfg", config)
    if "quick_gelu" in model:
        return bool(model["quick_gelu"])
    if "vision_cfg" in model:  # open_clip's folders name it only where it is on
        return False
    act = (model.get("vision_config") or {}).get("hidden_act") or model.get("hidden_act") or "quick_gelu"
    return act == "quick_gelu"


_RENAMED = (  # transformers -> OpenAI
    (r"^text_model\.embeddings\.token_embedding\.", "token_embedding."),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"^vision_model\.embeddings\.class_embedding$", "visual.class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "visual.conv1."),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "visual.positional_embedding"),
    (r"^vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (r"^vision_model\.post_layernorm\.", "visual.ln_post."),
    (r"^vision_model\.encoder\.layers\.", "visual.transformer.resblocks."),
    (r"\.layer_norm1\.", ".ln_1."),
    (r"\.layer_norm2\.", ".ln_2."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
)
_PROJECTION = re.compile(r"(.*)\.self_attn\.([qkv])_proj\.(weight|bias)$")
_TRANSPOSED = {"text_projection.weight": "text_projection", "visual_projection.weight": "visual.proj"}


def from_transformers(state: State) -> State:
    """transformers' CLIP names -> OpenAI's."""
    renamed, projections = {}, {}
    for key, value in state.items():
        match = _PROJECTION.match(key)
        if match:
            projections.setdefault(_rename(f"{match[1]}.") + f"attn.in_proj_{match[3]}", {})[match[2]] = value
        elif key in _TRANSPOSED:
            renamed[_TRANSPOSED[key]] = value.T
        elif not key.endswith("position_ids"):  # a table 0, 1, 2 … that old files carry
            renamed[_rename(key)] = value
    for key, parts in projections.items():
        if len(parts) < 3:
            raise WeightsError(
                f"{WHAT}: missing: the {', '.join(sorted(set('qkv') - set(parts)))} part of {key}"
            )
        renamed[key] = torch.cat([parts[name] for name in "qkv"])
    return renamed


def _rename(key: str) -> str:
    for pattern, published in _RENAMED:
        key = re.sub(pattern, published, key)
    return key
