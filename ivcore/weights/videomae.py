"""VideoMAE checkpoints: pretraining and fine-tuning, as InternVideo, VideoMAE and transformers lay them out.

Widths, depths and class counts are read from the shapes. What shapes cannot tell comes from `config`, under the names the
published constructors use (img_size, num_frames or all_frames, *_num_heads) or transformers' config.json, else from the
published sizes (16 frames of 224 pixels, heads of 64 channels, 16 heads for huge and giant).
"""

from __future__ import annotations

import re

import torch
from torch import nn

from ivcore.encoders.sizes import Size
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder, VideoClassifier
from ivcore.weights.accounting import State, WeightsError, anywhere, assemble, count, has, need

HEADS = {640: 8, 1280: 16, 1408: 16}  # widths whose published heads are not 64 channels wide


def is_pretraining(state: State) -> bool:
    return (has(state, "encoder.") and has(state, "decoder.")) or has(state, "videomae.", "decoder.")


def is_encoder(state: State) -> bool:
    """A fine-tuned classifier, or an encoder alone."""
    return has(state, "blocks.") or has(state, "patch_embed.") or has(state, "videomae.")


def pretraining(state: State, config: dict) -> MaskedAutoencoder:
    what = "VideoMAE pretraining checkpoint"
    if has(state, "videomae."):
        state = from_transformers(state, what)
    size = _size(state, config, "encoder.", what, decoder=True)
    with torch.device("meta"):
        model = MaskedAutoencoder(
            size,
            final_norm=has(state, "encoder.norm."),
            **_options(state),
        )
        model = _resized(model, config)
    return assemble(model, state, what)


def encoder(state: State, config: dict) -> MaskedVideoEncoder:
    what = (
        "VideoMAE fine-tuning checkpoint"
        if has(state, "head.") or has(state, "classifier.")
        else "VideoMAE encoder"
    )
    if has(state, "videomae."):
        state = without_encoder(from_transformers(state, what))
    size, options = _size(state, config, "", what), _options(state)
    with torch.device("meta"):
        if has(state, "head."):
            classes = need(state, "head.weight", what).shape[0]
            model = VideoClassifier(size, classes, mean_pool=not has(state, "norm."), **options)
        else:
            model = MaskedVideoEncoder(size, final_norm=has(state, "norm."), **options)
        model = _resized(model, config)
    return assemble(model, state, what)


def _resized(model: nn.Module, config: dict) -> nn.Module:
    """An empty model for the clips that it was saved for, where those are not the ones that it was pretrained on."""
    if "resized_to" not in config:
        return model
    return model.resize_positions(*config["resized_to"])


def _options(state: State) -> dict:
    return {
        "qkv_bias": anywhere(state, ".attn.q_bias") or anywhere(state, ".attn.v_bias"),
        "init_values": float(anywhere(state, ".gamma_1") or anywhere(state, ".gamma_2")),
        "learnable_positions": anywhere(state, "pos_embed"),
    }


def without_encoder(state: State) -> State:
    return {key.removeprefix("encoder."): value for key, value in state.items()}


def _size(state: State, config: dict, prefix: str, what: str, decoder: bool = False) -> Size:
    """Widths and depths from shapes, heads and clip size from `config` or the published sizes."""
    embedding = need(state, f"{prefix}patch_embed.proj.weight", what)
    if embedding.dim() != 5 or embedding.shape[1] != 3:
        raise WeightsError(
            f"{what}: {prefix}patch_embed.proj.weight is {tuple(embedding.shape)}, not (D, 3, t, p, p)"
        )
    width, _, tubelet, patch, _ = embedding.shape
    hidden = need(state, f"{prefix}blocks.0.mlp.fc1.weight", what).shape[0]
    decoder_width = need(state, "encoder_to_decoder.weight", what).shape[0] if decoder else 64
    heads = config.get("encoder_num_heads") or config.get("num_attention_heads") or config.get("num_heads")
    return Size(
        width,
        count(state, rf"{prefix}blocks\.(\d+)\."),
        heads or _heads(width, what),
        decoder_width,
        count(state, r"decoder\.blocks\.(\d+)\.") if decoder else 1,
        _decoder_heads(config, decoder_width, what) if decoder else 1,
        mlp_ratio=hidden / width,
        patch=patch,
        tubelet=tubelet,
        frames=config.get("num_frames") or config.get("all_frames") or 16,
        image=config.get("img_size") or config.get("image_size") or 224,
    )


def _decoder_heads(config: dict, width: int, what: str) -> int:
    theirs = config.get("decoder_num_heads") or config.get("decoder_num_attention_heads")
    return theirs or _heads(width, what)


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
    """transformers' VideoMAE names -> published names (head and fc_norm under `encoder.` too)."""
    renamed, projections = {}, {}
    for key, value in state.items():
        match = _PROJECTION.match(key)
        if match:
            projections.setdefault(_rename(match[1] + "."), {})[match[2]] = value
        else:
            renamed[_rename(key)] = value
    for block, parts in projections.items():
        if len(parts) < 3:
            raise WeightsError(
                f"{what}: missing: {', '.join({'query', 'key', 'value'} - set(parts))} weight of {block[:-1]}"
            )
        renamed[f"{block}attn.qkv.weight"] = torch.cat([parts["query"], parts["key"], parts["value"]])
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
    """The state dict and the config.json content that transformers' VideoMAE classes load."""
    if any(key.endswith("gamma_1") for key in model.state_dict()) or "pos_embed" in model.state_dict():
        raise WeightsError(
            "export: transformers' VideoMAE has neither layer scale nor a learnt position table"
        )
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


def _transformers_config(model: MaskedAutoencoder | VideoClassifier, state: State) -> dict:
    size, pretraining = model.size, isinstance(model, MaskedAutoencoder)
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
        "layer_norm_eps": 1e-6,
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
