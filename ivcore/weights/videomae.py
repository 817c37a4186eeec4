"""Loads VideoMAE checkpoints of pretraining and fine-tuning, in the layouts of InternVideo, VideoMAE and transformers.

Widths, depths and class counts come from the shapes. Settings that shapes do not give come from `config`, with the names of the
published constructors (img_size, num_frames or all_frames, *_num_heads, norm_eps) or of transformers' config.json, else from the
published sizes (16 frames of 224 pixels, heads of 64 channels, 16 heads for huge and giant). Other config fields must agree with
the tensors; an activation or attention that is not implemented here is refused by name. The norms before a head and at the decoder's
end keep the published 1e-6 (transformers always has 1e-5 there, whatever its config says: some 1e-5 of the output).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from ivcore.encoders.positions import sine_cosine
from ivcore.encoders.sizes import Size, checked
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder, VideoClassifier
from ivcore.weights.accounting import State, WeightsError, anywhere, assemble, count, has, need
from ivcore.weights.fields import Fields

FRAMES, IMAGE = ("num_frames", "all_frames"), ("img_size", "image_size", "input_size")
DECODER = """
    decoder_hidden_size decoder_embed_dim decoder_num_hidden_layers decoder_depth decoder_num_attention_heads decoder_num_heads
    decoder_intermediate_size decoder_num_classes
""".split()
HEADS = {640: 8, 1280: 16, 1408: 16}  # widths whose published heads are not 64 channels wide
_FINE_TUNING, _ENCODER = "VideoMAE fine-tuning checkpoint", "VideoMAE encoder"
BARE = "embeddings.patch_embeddings."  # prefix of the keys of transformers' VideoMAEModel, which has no heads
MOST_TOKENS = 100_000  # of a clip: more than 1,000 frames of 224 pixels


def is_pretraining(state: State) -> bool:
    return (has(state, "encoder.") and has(state, "decoder.")) or has(state, "videomae.", "decoder.")


def is_encoder(state: State) -> bool:
    """Whether the keys are those of a fine-tuned classifier or an encoder alone."""
    return any(has(state, begin) for begin in ("blocks.", "patch_embed.", "videomae.", BARE))


def pretraining(state: State, config: Fields) -> MaskedAutoencoder:
    what = "VideoMAE pretraining checkpoint"
    if has(state, "videomae."):
        state = from_transformers(state, what)
    size = _size(state, config, "encoder.", what, decoder=True)
    with torch.device("meta"):
        model = MaskedAutoencoder(size, final_norm=has(state, "encoder.norm."), **_options(state, config))
        model = _resized(model, config)
    return assemble(model, state, what)


def encoder(state: State, config: Fields) -> MaskedVideoEncoder:
    """A fine-tuned classifier if the file has a head, else an encoder alone."""
    if has(state, BARE):
        state = {f"videomae.{key}": value for key, value in state.items()}
    if has(state, "videomae."):
        what = _FINE_TUNING if has(state, "classifier.") else _ENCODER
        state = without_encoder(from_transformers(state, what))
    return (classifier if has(state, "head.") else bare_encoder)(state, config)


def classifier(state: State, config: Fields) -> VideoClassifier:
    mean_pool, options = not has(state, "norm."), _options(state, config)
    classes = need(state, "head.weight", _FINE_TUNING, dims=2).shape[0] if has(state, "head.") else 0
    config.choice("use_mean_pooling", mean_pool)
    size = _encoder_size(state, config, _FINE_TUNING)
    with torch.device("meta"):
        model = _resized(VideoClassifier(size, classes, mean_pool=mean_pool, **options), config)
    return assemble(model, _without_fixed_table(state, model), _FINE_TUNING)


def bare_encoder(state: State, config: Fields) -> MaskedVideoEncoder:
    options = _options(state, config)
    config.flag("use_mean_pooling")
    size = _encoder_size(state, config, _ENCODER)
    with torch.device("meta"):
        model = _resized(MaskedVideoEncoder(size, final_norm=has(state, "norm."), **options), config)
    return assemble(model, _without_fixed_table(state, model), _ENCODER)


def _encoder_size(state: State, config: Fields, what: str) -> Size:
    config.get(*DECODER)  # transformers' classifiers name sizes of a decoder that their files lack
    return _size(state, config, "", what)


def _resized(model: nn.Module, config: Fields) -> nn.Module:
    """Resizes a model without weights to the clips that it was saved for, if these differ from the pretraining clips."""
    clip = config.get("resized_to")
    if clip is None:
        return model
    if not isinstance(clip, list) or len(clip) != 3 or not all(type(n) is int and 0 < n <= 4096 for n in clip):
        config.refuse("resized_to", clip, "[frames, height, width]")
    return model.resize_positions(*clip)


def _without_fixed_table(state: State, model: MaskedVideoEncoder) -> State:
    """Removes the fixed table that mmaction2 saves with the weights. WeightsError if its shape is for other clips than the model's."""
    table = state.get("pos_embed")
    if table is None or isinstance(model.pos_embed, nn.Parameter):
        return state
    if table.shape != model.pos_embed.shape:
        raise WeightsError(
            f"pos_embed is {tuple(table.shape)}, not {tuple(model.pos_embed.shape)}: the file is for other clips; "
            "give num_frames and img_size in config"
        )
    return {key: value for key, value in state.items() if key != "pos_embed"}


def _options(state: State, config: Fields) -> dict:
    learnt = anywhere(state, "pos_embed") and not _is_fixed(state)
    options = {
        "qkv_bias": anywhere(state, ".attn.q_bias") or anywhere(state, ".attn.v_bias"),
        "init_values": float(anywhere(state, ".gamma_1") or anywhere(state, ".gamma_2")),
        "learnable_positions": learnt,
        "eps": config.number("norm_eps", "layer_norm_eps", least=1e-15, most=1.0) or 1e-6,
    }
    for name in ("qv_bias", "qkv_bias"):
        config.choice(name, options["qkv_bias"])
    config.choice("use_learnable_pos_emb", learnt)
    layer_scale = config.number("init_values", least=0.0, most=100.0)
    if layer_scale is not None and (layer_scale > 0) != (options["init_values"] > 0):
        config.refuse("init_values", layer_scale, "above 0 exactly where the file has gamma_1 and gamma_2")
    config.choice("hidden_act", "gelu")
    config.without("qk_scale", "cos_attn")
    return options


def _is_fixed(state: State) -> bool:
    """Whether the table in a file is the fixed one, with a row of sines and cosines for each position."""
    table = next(value for key, value in state.items() if key.endswith("pos_embed"))
    if table.dim() != 3 or table.shape[1] > MOST_TOKENS or table.is_meta:
        return False
    return torch.allclose(table.float(), sine_cosine(*table.shape[1:]), atol=1e-2)


def without_encoder(state: State) -> State:
    return {key.removeprefix("encoder."): value for key, value in state.items()}


def _size(state: State, config: Fields, prefix: str, what: str, decoder: bool = False) -> Size:
    """The size: widths and depths from shapes, heads and clip size from `config` or the published sizes. WeightsError if they do not agree."""
    embedding = need(state, f"{prefix}patch_embed.proj.weight", what)
    if embedding.dim() != 5 or embedding.shape[1] != 3 or embedding.shape[3] != embedding.shape[4]:
        raise WeightsError(f"{what}: {prefix}patch_embed.proj.weight is {tuple(embedding.shape)}, not (D, 3, t, p, p)")
    width, _, tubelet, patch, _ = embedding.shape
    hidden = need(state, f"{prefix}blocks.0.mlp.fc1.weight", what, dims=2).shape[0]
    depth = count(state, rf"{prefix}blocks\.(\d+)\.", what)
    decoder_width, decoder_depth, decoder_heads = 64, 1, 1
    if decoder:
        decoder_width = need(state, "encoder_to_decoder.weight", what, dims=2).shape[0]
        decoder_depth = count(state, r"decoder\.blocks\.(\d+)\.", what)
        theirs = config.count("decoder_num_heads", "decoder_num_attention_heads")
        decoder_heads = theirs or _heads(decoder_width, what)
        config.get(*DECODER, "use_mean_pooling")
        config.agree(decoder_width, "decoder_hidden_size", "decoder_embed_dim")
        config.agree(decoder_depth, "decoder_num_hidden_layers", "decoder_depth")
        decoder_hidden = need(state, "decoder.blocks.0.mlp.fc1.weight", what, dims=2).shape[0]
        config.agree(decoder_hidden, "decoder_intermediate_size")
        if decoder_hidden * width != decoder_width * hidden:
            raise WeightsError(f"{what}: the decoder's MLPs are not as wide in proportion as the encoder's")
    _agree(config, width, depth, hidden, patch, tubelet)
    size = Size(
        width,
        depth,
        config.count("encoder_num_heads", "num_attention_heads", "num_heads") or _heads(width, what),
        decoder_width,
        decoder_depth,
        decoder_heads,
        mlp_ratio=hidden / width,
        patch=patch,
        tubelet=tubelet,
        frames=config.count(*FRAMES) or 16,
        image=config.count(*IMAGE) or 224,
    )
    if size.tokens > MOST_TOKENS:
        config.refuse(FRAMES[0], (size.frames, size.image), f"frames and pixels of at most {MOST_TOKENS} tokens")
    return checked(size)


def _agree(config: Fields, width: int, depth: int, hidden: int, patch: int, tubelet: int) -> None:
    config.agree(width, "hidden_size", "embed_dim", "encoder_embed_dim", "embed_dims")
    config.agree(depth, "num_hidden_layers", "depth", "encoder_depth")
    config.agree(hidden, "intermediate_size")
    config.agree(patch, "patch_size")
    config.agree(tubelet, "tubelet_size")
    config.agree(3, "num_channels", "in_chans", "encoder_in_chans", "in_channels")
    config.get("num_classes", "encoder_num_classes", "num_labels")  # the head's tensors give these
    ratio = config.number("mlp_ratio", least=0.0, most=64.0)
    if ratio is not None and int(width * ratio + 1e-6) != hidden:
        config.refuse("mlp_ratio", ratio, f"{hidden / width:g}, as the tensors have it")


def _heads(width: int, what: str) -> int:
    if width not in HEADS and width % 64:
        raise WeightsError(
            f"{what}: the number of heads for width {width} cannot be told from shapes; give num_heads in config"
        )
    return HEADS.get(width, width // 64)


# --- transformers' names ---------------------------------------------------------------------------------------------

_RENAMED = (  # transformers -> published
    (r"^videomae\.embeddings\.patch_embeddings\.projection\.", "encoder.patch_embed.proj."),
    (r"^videomae\.encoder\.layer\.", "encoder.blocks."),
    (r"^videomae\.layernorm\.", "encoder.norm."),
    (r"^decoder\.decoder_layers\.", "decoder.blocks."),
    (r"^fc_norm\.", "encoder.fc_norm."),
    (r"^classifier\.", "encoder.head."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.attention\.(query\.bias|q_bias)$", ".attn.q_bias"),
    (r"\.attention\.attention\.(value\.bias|v_bias)$", ".attn.v_bias"),
)
_PROJECTION = re.compile(r"(.*)\.attention\.attention\.(query|key|value)\.weight$")


def from_transformers(state: State, what: str) -> State:
    """Renames transformers' VideoMAE tensors to published names (also head and fc_norm under `encoder.`). WeightsError if one is missing."""
    renamed, projections = {}, {}
    for key, value in state.items():
        match = _PROJECTION.match(key)
        if match:
            projections.setdefault(_rename(match[1] + "."), {})[match[2]] = value
        else:
            renamed[_rename(key)] = value
    for block, qkv in projections.items():
        if len(qkv) < 3:
            raise WeightsError(
                f"{what}: missing: {', '.join({'query', 'key', 'value'} - set(qkv))} weight of {block[:-1]}"
            )
        renamed[f"{block}attn.qkv.weight"] = torch.cat([qkv["query"], qkv["key"], qkv["value"]])
    return renamed


def _rename(key: str) -> str:
    for pattern, published in _RENAMED:
        key = re.sub(pattern, published, key)
    return key


_EXPORTED = (  # published -> transformers
    (r"^patch_embed\.proj\.", "videomae.embeddings.patch_embeddings.projection."),
    (r"^blocks\.", "videomae.encoder.layer."),
    (r"^norm\.", "videomae.layernorm."),
    (r"^head\.", "classifier."),
    (r"^decoder\.blocks\.", "decoder.decoder_layers."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.q_bias$", ".attention.attention.query.bias"),
    (r"\.attn\.v_bias$", ".attention.attention.value.bias"),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
)


def to_transformers(model: MaskedAutoencoder | VideoClassifier) -> tuple[State, dict]:
    """Returns (state dict, content of config.json) for transformers' VideoMAE classes. WeightsError for a model that these cannot represent."""
    if any(key.endswith("gamma_1") for key in model.state_dict()) or "pos_embed" in model.state_dict():
        raise WeightsError("export: transformers' VideoMAE has neither layer scale nor a learnt position table")
    encoder = model.encoder if isinstance(model, MaskedAutoencoder) else model
    if encoder.grid != model.size.grid:
        raise WeightsError(
            "export: transformers' VideoMAE computes its position table, so a resized one cannot be exported"
        )
    state = {}
    for key, value in model.state_dict().items():
        key = key.removeprefix("encoder.")
        for pattern, theirs in _EXPORTED:
            key = re.sub(pattern, theirs, key)
        if key.endswith(".attn.qkv.weight"):
            block = key.removesuffix(".attn.qkv.weight")
            for name, part in zip(("query", "key", "value"), value.chunk(3), strict=True):
                state[f"{block}.attention.attention.{name}.weight"] = part.contiguous()
        else:
            state[key] = value
    return state, _transformers_config(model, state)


def save_for_transformers(model: MaskedAutoencoder | VideoClassifier, folder: Path) -> Path:
    """Writes model.safetensors and config.json as `save_pretrained` does; returns the folder."""
    state, config = to_transformers(model)
    folder.mkdir(exist_ok=True)
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _transformers_config(model: MaskedAutoencoder | VideoClassifier, state: State) -> dict:
    size, pretraining = model.size, isinstance(model, MaskedAutoencoder)
    encoder = model.encoder if pretraining else model
    config = {
        "model_type": "videomae",
        "architectures": ["VideoMAEForPreTraining" if pretraining else "VideoMAEForVideoClassification"],
        "image_size": size.image,
        "patch_size": size.patch,
        "num_frames": size.frames,
        "tubelet_size": size.tubelet,
        "hidden_size": size.width,
        "num_hidden_layers": size.depth,
        "num_attention_heads": size.heads,
        "intermediate_size": int(size.width * size.mlp_ratio + 1e-6),
        "layer_norm_eps": encoder.options["eps"],
        "qv_bias": "videomae.encoder.layer.0.attention.attention.query.bias" in state,
        "use_mean_pooling": "videomae.layernorm.weight" not in state,
        "decoder_hidden_size": size.decoder_width,
        "decoder_num_hidden_layers": size.decoder_depth,
        "decoder_num_attention_heads": size.decoder_heads,
        "decoder_intermediate_size": int(size.decoder_width * size.mlp_ratio + 1e-6),
    }
    if not pretraining:
        names = {str(i): f"LABEL_{i}" for i in range(model.num_classes)}
        config |= {"id2label": names, "label2id": {name: int(i) for i, name in names.items()}}
    return config
