"""Loads CLIP checkpoints of OpenAI, open_clip and transformers into one module with OpenAI's names.

Shapes do not give the activation: OpenAI's weights use QuickGELU, many of open_clip's do not. `config` may give it as quick_gelu
(open_clip's name) or hidden_act (transformers', for each tower). Features that are not implemented here are refused by name.
"""

from __future__ import annotations

import re

import torch

from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.weights.accounting import State, WeightsError, assemble, count, has, need
from ivcore.weights.fields import Fields

WHAT = "CLIP checkpoint"
# numbers that OpenAI's archives store with the weights
NOTES = ("input_resolution", "context_length", "vocab_size")
TEXT = tuple("token_embedding. positional_embedding transformer. ln_final. text_projection text_mask_embedding".split())
# features of open_clip that are not implemented here: towers of other libraries, other poolings and norms
NOT_BUILT = """
    timm_model_name hf_model_name attentional_pool attn_pooler_queries input_patchnorm no_ln_pre global_average_pool
    final_ln_after_pool ls_init_value embed_cls no_causal_mask act_kwargs norm_kwargs proj_bias block_type qk_norm scale_heads
    scale_attn_inner scale_attn scale_fc
""".split()


def is_clip(state: State) -> bool:
    text = has(state, "transformer.") or has(state, "text.transformer.")
    return (has(state, "visual.transformer.") and text) or has(state, "text_model.", "vision_model.")


def clip(state: State, config: Fields) -> Clip:
    if has(state, "vision_model."):
        state = from_transformers(state)
    state = {key.removeprefix("text."): value for key, value in state.items() if key not in NOTES}
    need(state, "text_projection", WHAT, dims=2)
    vision, text = _tower(state, config, "vision", "visual."), _tower(state, config, "text", "")
    with torch.device("meta"):
        model = Clip(_image(state, config, vision), text_encoder(state, config, WHAT, text, _end(state, config)))
    return assemble(model, {text_name(key): value for key, value in state.items()}, WHAT)


def text_name(key: str) -> str:
    """The key with the prefix `text.`, if it belongs to the text transformer, which has no prefix in published files."""
    return f"text.{key}" if key.startswith(TEXT) else key


def text_encoder(
    state: State, config: Fields, what: str, quick_gelu: bool = True, end: int | None = None
) -> TextEncoder:
    """A text encoder with the shapes of `state`, without weights (call on the meta device)."""
    words = need(state, "token_embedding.weight", what, dims=2)
    places = need(state, "positional_embedding", what, dims=2)
    projection, width = state.get("text_projection"), words.shape[1]
    layers = count(state, r"transformer\.resblocks\.(\d+)\.", what)
    for fields in (config, config.part("text_config"), config.part("model_cfg").part("text_cfg")):
        fields.agree(places.shape[0], "context_length", "max_position_embeddings")
        fields.agree(words.shape[0], "vocab_size")
    config.agree(width, "transformer_width")
    config.agree(layers, "transformer_layers")
    return TextEncoder(
        embed=0 if projection is None else projection.shape[1],
        width=width,
        layers=layers,
        heads=divisor(config, width, what, "transformer_heads", *_named_heads(config, "text", width)),
        context=places.shape[0],
        vocabulary=words.shape[0],
        mask_embedding="text_mask_embedding" in state,
        quick_gelu=quick_gelu,
        end=end,
    )


def divisor(config: Fields, width: int, what: str, *names: str | int) -> int:
    """The number of heads: from the first given field of `names`, else the first number in `names`, else for 64 channels a head."""
    fields = [name for name in names if isinstance(name, str)]
    found = [name for name in names if isinstance(name, int)]
    heads = config.count(*fields) or (found[0] if found else heads_of(width, what))
    if width % heads:
        config.refuse(fields[0], heads, f"a divisor of the width {width}")
    return heads


def _named_heads(config: Fields, part: str, width: int) -> list[int]:
    """The numbers of heads that the config.json of transformers or of open_clip gives."""
    open_clip = config.part("model_cfg").part(f"{part}_cfg")
    channels = open_clip.count("head_width")
    found = [config.part(f"{part}_config").count("num_attention_heads"), open_clip.count("heads"),
             width // channels if channels else None]  # fmt: skip
    return [heads for heads in found if heads]


def _tower(state: State, config: Fields, part: str, under: str) -> bool:
    """Whether a tower's activation is QuickGELU. WeightsError if another field of its config does not agree with the tensors."""
    theirs, model = config.part(f"{part}_config"), config.part("model_cfg")
    open_clip = model.part(f"{part}_cfg")
    layers = count(state, rf"{re.escape(under)}transformer\.resblocks\.(\d+)\.", WHAT)
    hidden, width = need(state, f"{under}transformer.resblocks.0.mlp.c_fc.weight", WHAT, dims=2).shape
    theirs.agree(layers, "num_hidden_layers")
    theirs.agree(width, "hidden_size")
    theirs.agree(hidden, "intermediate_size")
    open_clip.agree(layers, "layers")
    open_clip.agree(width, "width")
    ratio = open_clip.number("mlp_ratio", least=0.0, most=64.0)
    if ratio is not None and round(width * ratio) != hidden:
        open_clip.refuse("mlp_ratio", ratio, f"{hidden / width:g}, as the tensors have it")
    theirs.choice("layer_norm_eps", 1e-5)
    open_clip.without(*NOT_BUILT)
    open_clip.choice("pool_type", "tok", "argmax")
    open_clip.choice("pos_embed_type", "learnable")
    embed = need(state, "text_projection", WHAT, dims=2).shape[1]
    for fields in (config, theirs, model):
        fields.agree(embed, "projection_dim", "embed_dim")
    model.get("custom_text")  # the names show the prefix of the text tower
    open_clip.get("hf_tokenizer_name", "tokenizer_kwargs")
    model.choice("nonscalar_logit_scale", False)
    return _quick_gelu(config, theirs, part)


def _quick_gelu(config: Fields, theirs: Fields, part: str) -> bool:
    """A tower's activation from our own config or open_clip's, else from transformers' hidden_act, else OpenAI's (QuickGELU)."""
    model = config.part("model_cfg")
    own = config.flag(*(["text_quick_gelu"] if part == "text" else []), "quick_gelu")
    quick = model.flag("quick_gelu") if own is None else own
    if quick is None and model.values:  # open_clip's folders name it only if it is on
        quick = False
    act = theirs.choice("hidden_act", "quick_gelu", "gelu") or config.choice("hidden_act", "quick_gelu", "gelu")
    return (act or "quick_gelu") == "quick_gelu" if quick is None else quick


def _end(state: State, config: Fields) -> int | None:
    """The id of the end token, None if it is the largest id. transformers' files may give another; there, 2 means the largest."""
    end = config.count("eos_token_id", most=10**7) or config.part("text_config").count("eos_token_id", most=10**7)
    words = need(state, "token_embedding.weight", WHAT, dims=2).shape[0]
    return None if end in (None, 2, words - 1) else end


def heads_of(width: int, what: str) -> int:
    """The number of heads of 64 channels, as in all published CLIP-like transformers. WeightsError if the width is not a multiple."""
    if width % 64:
        raise WeightsError(
            f"{what}: the number of heads for width {width} cannot be told from shapes; give it in config"
        )
    return width // 64


def side_of(positions: torch.Tensor, patch: int, what: str) -> int:
    """The side in pixels of the square image of a position table (1+hw, D). WeightsError if hw is not a square."""
    side = round((positions.shape[0] - 1) ** 0.5)
    if not side or side * side + 1 != positions.shape[0]:
        raise WeightsError(f"{what}: the position table has {positions.shape[0]} rows, not one more than a square")
    return side * patch


def _image(state: State, config: Fields, quick_gelu: bool) -> ImageEncoder:
    kernel = need(state, "visual.conv1.weight", WHAT, dims=4)
    table = need(state, "visual.positional_embedding", WHAT, dims=2)
    width, patch = kernel.shape[0], kernel.shape[-1]
    image = side_of(table, patch, WHAT)
    open_clip = config.part("model_cfg").part("vision_cfg")
    for theirs in (config.part("vision_config"), open_clip):
        theirs.agree(patch, "patch_size")
        theirs.agree(image, "image_size")
        theirs.agree(3, "num_channels", "in_channels")
    return ImageEncoder(
        embed=need(state, "visual.proj", WHAT, dims=2).shape[1],
        width=width,
        layers=count(state, r"visual\.transformer\.resblocks\.(\d+)\.", WHAT),
        heads=divisor(config, width, WHAT, "vision_heads", *_named_heads(config, "vision", width)),
        patch=patch,
        image=image,
        quick_gelu=quick_gelu,
    )


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
    """Renames transformers' CLIP tensors to OpenAI's names. WeightsError if a query, key or value part is missing."""
    renamed, projections = {}, {}
    for key, value in state.items():
        match = _PROJECTION.match(key)
        if match:
            projections.setdefault(_rename(f"{match[1]}.") + f"attn.in_proj_{match[3]}", {})[match[2]] = value
        elif key in _TRANSPOSED:
            renamed[_TRANSPOSED[key]] = value.T
        elif not key.endswith("position_ids"):  # a table 0, 1, 2 … in old files
            renamed[_rename(key)] = value
    for key, qkv in projections.items():
        if len(qkv) < 3:
            raise WeightsError(f"{WHAT}: missing: the {', '.join(sorted(set('qkv') - set(qkv)))} part of {key}")
        renamed[key] = torch.cat([qkv[name] for name in "qkv"])
    return renamed


def _rename(key: str) -> str:
    for pattern, published in _RENAMED:
        key = re.sub(pattern, published, key)
    return key
