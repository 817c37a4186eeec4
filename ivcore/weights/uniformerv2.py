"""UniFormerV2 checkpoints (with or without `backbone.`), and the part of them that InternVideo-MM's video tower shares.

`config` may give heads, n_head and return_list (the layers with a global block; else the last ones, as in all published models).
"""

from __future__ import annotations

import torch

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.weights.accounting import State, assemble, count, has, need
from ivcore.weights.clip import heads_of, side_of

WHAT = "UniFormerV2 checkpoint"


def is_uniformerv2(state: State) -> bool:
    return has(state, "transformer.dec.") and not has(state, "visual.")


def uniformerv2(state: State, config: dict) -> UniFormerV2:
    with torch.device("meta"):
        model = video_tower(state, config, WHAT)
    return assemble(model, state, WHAT)


def video_tower(state: State, config: dict, what: str, under: str = "") -> UniFormerV2:
    """An empty UniFormerV2 of the published shape (call on the meta device)."""
    kernel, table = need(state, "conv1.weight", what, under), need(state, "positional_embedding", what, under)
    width, patch = kernel.shape[0], kernel.shape[-1]
    layers = count(state, r"transformer\.resblocks\.(\d+)\.")
    n_global = count(state, r"transformer\.dec\.(\d+)\.")
    heads = config.get("heads") or heads_of(width, what)
    classes = (
        need(state, "transformer.proj.2.weight", what, under).shape[0]
        if has(state, "transformer.proj.")
        else 0
    )
    return UniFormerV2(
        width,
        layers,
        heads,
        patch,
        side_of(table, patch, what),
        classes,
        config.get("return_list") or range(layers - n_global, layers),
        temporal_downsample=kernel.shape[2] > 1,
        frozen="transformer.balance" not in state,
        global_heads=config.get("n_head") or heads,
        mlp_factor=need(state, "transformer.dec.0.mlp.c_fc.weight", what, under).shape[0] / width,
        **_local_parts(state, width, what, under),
    )


def _local_parts(state: State, width: int, what: str, under: str) -> dict:
    if not has_local(state, "lmhra1"):
        return {"local": False}
    taps = need(state, "transformer.resblocks.0.lmhra1.pos_embed.2.weight", what, under)
    sizes = {"kernel": taps.shape[2], "reduction": _reduction(width, taps.shape[0])}
    return {"local": True, "double_local": has_local(state, "lmhra2"), **sizes}


def has_local(state: State, name: str) -> bool:
    return any(f".{name}." in key for key in state)


def _reduction(width: int, inner: int) -> float:
    """A reduction that gives `inner` channels back, whichever way the division rounds."""
    reduction = width / inner
    return reduction if int(width // reduction) == inner else width / (inner + 0.5)
