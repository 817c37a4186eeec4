"""Loads UniFormerV2 checkpoints (with or without `backbone.`); `video_tower` also builds InternVideo-MM's video tower.

`config` may give heads, n_head and return_list (the layers with a global block; by default the last ones, as in all published models).
"""

from __future__ import annotations

import torch

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.weights.accounting import State, WeightsError, assemble, count, has, need
from ivcore.weights.clip import divisor, side_of
from ivcore.weights.fields import Fields

WHAT = "UniFormerV2 checkpoint"


def is_uniformerv2(state: State) -> bool:
    return has(state, "transformer.dec.") and not has(state, "visual.")


def uniformerv2(state: State, config: Fields) -> UniFormerV2:
    with torch.device("meta"):
        model = video_tower(state, config, WHAT)
    return assemble(model, state, WHAT)


def video_tower(state: State, config: Fields, what: str, under: str = "", quick_gelu: bool = True) -> UniFormerV2:
    """A UniFormerV2 with the shapes of `state`, without weights (call on the meta device). WeightsError for shapes that do not fit."""
    kernel = need(state, "conv1.weight", what, under, dims=5)
    table = need(state, "positional_embedding", what, under, dims=2)
    width, patch = kernel.shape[0], kernel.shape[-1]
    layers = count(state, r"transformer\.resblocks\.(\d+)\.", what)
    n_global = count(state, r"transformer\.dec\.(\d+)\.", what)
    if n_global > layers:
        raise WeightsError(f"{what}: {n_global} global blocks for {layers} layers")
    image, frozen = side_of(table, patch, what), "transformer.balance" not in state
    heads = divisor(config, width, what, "heads")
    classes = (
        need(state, "transformer.proj.2.weight", what, under, dims=2).shape[0] if has(state, "transformer.proj.") else 0
    )
    config.agree(width, "width", "n_dim")
    config.agree(layers, "layers")
    config.agree(n_global, "n_layers")
    config.agree(patch, "patch_size")
    config.agree(image, "input_resolution")
    config.choice("frozen", frozen)
    config.choice("temporal_downsample", kernel.shape[2] > 1)
    config.choice("no_lmhra", not has_local(state, "lmhra1"))
    config.get(
        "double_lmhra", "kernel_size", "dw_reduction", "mlp_factor", "output_dim", "num_classes", "t_size"
    )  # the tensors give these
    hidden = need(state, "transformer.dec.0.mlp.c_fc.weight", what, under, dims=2).shape[0] if n_global else width
    return UniFormerV2(
        width,
        layers,
        heads,
        patch,
        image,
        classes,
        config.counts("return_list", layers, n_global) or range(layers - n_global, layers),
        temporal_downsample=kernel.shape[2] > 1,
        frozen=frozen,
        global_heads=divisor(config, width, what, "n_head", heads),
        mlp_factor=hidden / width,
        quick_gelu=quick_gelu if config.flag("quick_gelu") is None else config.flag("quick_gelu"),
        **_local_parts(state, width, what, under),
    )


def _local_parts(state: State, width: int, what: str, under: str) -> dict:
    if not has_local(state, "lmhra1"):
        return {"local": False}
    taps = need(state, "transformer.resblocks.0.lmhra1.pos_embed.2.weight", what, under, dims=5)
    sizes = {"kernel": taps.shape[2], "reduction": _reduction(width, taps.shape[0])}
    return {"local": True, "double_local": has_local(state, "lmhra2"), **sizes}


def has_local(state: State, name: str) -> bool:
    return any(f".{name}." in key for key in state)


def _reduction(width: int, inner: int) -> float:
    """A reduction with int(width // reduction) == inner, despite rounding."""
    reduction = width / inner
    return reduction if int(width // reduction) == inner else width / (inner + 0.5)
