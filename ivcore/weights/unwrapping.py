"""Extracts the state dict from a training checkpoint: chooses the set of weights, and removes what trainers and wrappers add to names."""

from __future__ import annotations

import argparse
import warnings
from collections import Counter

from torch import Tensor

from ivcore.errors import shown
from ivcore.weights.accounting import State, WeightsError, has, listed, without_prefix

# entries of VideoMAE, DeepSpeed, Lightning and mmengine, SlowFast
TRAINED = ("model", "module", "state_dict", "model_state", "model_state_dict", "net", "network", "weights")
AVERAGED = tuple("model_ema state_dict_ema ema ema_state_dict model_ema_state_dict ema_model ema_state".split())
ROLES = ("teacher", "student")
# parts of names that torch.compile, DataParallel, FSDP, activation checkpointing and Lightning's strategies add, at any position
WRAPPED = {"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
COMMON = ("model.", "net.", "network.", "backbone.", *(f"{role}." for role in (*ROLES, *AVERAGED)))
# parts that only training needs
TRAINING = ("criterion.", "loss.", "loss_fn.", "loss_func.", "data_preprocessor.", "n_averaged")
# settings of the model that a training script's arguments may give and shapes do not
ARGUMENTS = "num_frames all_frames input_size img_size image_size num_heads norm_eps layer_norm_eps".split()
STATISTICS = {"data_preprocessor.mean": "image_mean", "data_preprocessor.std": "image_std"}


def unwrap(content, what: str, entry: str | None = None) -> tuple[State, dict]:
    """A checkpoint's content -> (its tensors by name, config fields stored with them). entry: one of several sets. Errors: WeightsError."""
    fields: dict = {}
    for _ in range(4):  # wrappers can be nested, such as DeepSpeed in Lightning
        if not isinstance(content, dict) or not content:
            raise WeightsError(f"{what}: holds no state dict, but {type(content).__name__}")
        fields |= _arguments(content)
        inner, entry = _chosen(content, what, entry)
        if inner is None:
            break
        content = inner
    nameless = [shown(key) for key in content if not isinstance(key, str)]
    if nameless:
        raise WeightsError(f"{what}: keys of weights are names, these are not: {listed(nameless)}")
    strange = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise WeightsError(f"{what}: these entries are not tensors: {listed(strange)}")
    fields |= {name: content[key].flatten().tolist() for key, name in STATISTICS.items() if key in content}
    return _strip(content, what, entry), fields


def _arguments(content: dict) -> dict:
    """Clip sizes and heads from VideoMAE's `args` or Lightning's `hyper_parameters`."""
    found = {}
    for name in ("args", "hyper_parameters"):
        given = content.get(name)
        given = vars(given) if isinstance(given, argparse.Namespace) else given
        if isinstance(given, dict):
            found |= {key: given[key] for key in ARGUMENTS if given.get(key) is not None}
    return found


def _chosen(content: dict, what: str, entry: str | None) -> tuple[dict | None, str | None]:
    """(the set of weights in `content`, or None if `content` is the set itself; the entry still to choose, or None)"""
    sets = [name for name in (*TRAINED, *AVERAGED, *ROLES) if isinstance(content.get(name), dict)]
    if entry is not None and isinstance(content.get(entry), dict):
        return content[entry], None
    trained = [name for name in sets if name in TRAINED]
    others = [name for name in sets if name not in TRAINED]
    if not sets:
        return None, entry
    if entry is not None and not trained:
        raise WeightsError(f"{what}: has no entry {entry!r}, but {listed(sets)}")
    if trained:
        if others and entry is None:
            warnings.warn(
                f"{what}: holds {listed(others)} besides; took {trained[0]}; entry={others[0]!r} takes the other",
                stacklevel=5,
            )
        return content[trained[0]], entry
    if len(others) > 1:
        raise _ambiguous(what, others)
    return content[others[0]], None


def _ambiguous(what: str, names: list[str]) -> WeightsError:
    return WeightsError(
        f"{what}: holds several sets of weights: {listed(names)}; choose one: weights.load(…, entry={names[0]!r}), "
        f"or save it alone: torch.save(torch.load(…)[{names[0]!r}], …)"
    )


def _strip(state: State, what: str, entry: str | None) -> State:
    """Removes parts of names that wrappers add, tensors that only training needs, and a prefix that all others share."""
    bare: State = {}
    for key, value in state.items():
        name = ".".join(part for part in key.split(".") if part not in WRAPPED)
        if name in bare:
            raise WeightsError(
                f"{what}: two tensors are called {name} once wrappers' prefixes are dropped, one of them {key}"
            )
        bare[name] = value
    model = {key: value for key, value in bare.items() if not key.startswith(TRAINING)}
    state = model or bare
    if entry is not None:
        state = without_prefix(state, f"{entry}.")
        if not state:
            raise WeightsError(f"{what}: has no entry {entry!r}; its keys are {listed(bare)}")
    return _inner(state, what)


def _inner(state: State, what: str) -> State:
    roles = [role for role in ROLES if has(state, f"{role}.")]
    if len(roles) > 1:
        raise _ambiguous(what, roles)
    for prefix in COMMON:
        inside = without_prefix(state, prefix)
        besides = {key: value for key, value in state.items() if not key.startswith(prefix)}
        if inside and all(_is_averaged(key) or _is_metric(key, value) for key, value in besides.items()):
            if besides:
                parts = dict.fromkeys(key.split(".")[0] for key in besides)
                other = next((f"; entry={part!r} takes that" for part in parts if part in AVERAGED), "")
                warnings.warn(f"{what}: took {prefix}*; left out besides: {listed(parts)}{other}", stacklevel=5)
            return _inner(inside, what)
    if has(state, "backbone.", "cls_head.") and all(key.startswith(("backbone.", "cls_head.")) for key in state):
        return _from_mmaction(state)
    if has(state, "blocks.") or not has(state, "encoder.blocks.") or has(state, "decoder."):
        return state
    return {key.removeprefix("encoder."): value for key, value in state.items()}


def _is_averaged(key: str) -> bool:
    """Whether the key belongs to averaged weights, stored with the trained ones: ema_model.module.…"""
    return key.split(".")[0] in AVERAGED


def _is_metric(key: str, value: Tensor) -> bool:
    """Whether the tensor belongs to a metric, such as torchmetrics' `train_acc.tp`, `val_loss.mean_value`; no layer is so small."""
    return "." in key and (value.numel() <= 1 or not (value.is_floating_point() or value.is_complex()))


def apart(state: State) -> list[str]:
    """The keys without the prefix that most keys have; [] if all have it, or no prefix has a majority."""
    parts = Counter(key.split(".")[0] for key in state)
    first, number = parts.most_common(1)[0]
    return [key for key in state if key.split(".")[0] != first] if 2 * number > len(state) else []


_MMACTION = (  # mmaction2's VisionTransformer and UniFormerV2 -> published
    ("backbone.", ""),
    ("patch_embed.projection.", "patch_embed.proj."),
    (".mlp.layers.0.0.", ".mlp.fc1."),
    (".mlp.layers.1.", ".mlp.fc2."),
    ("transformer.norm.", "transformer.proj.0."),
)


def _from_mmaction(state: State) -> State:
    """Renames tensors of mmaction2's recognisers: the encoder under `backbone.`, the classification layer under `cls_head.`"""
    head = "transformer.proj.2." if has(state, "backbone.transformer.dec.") else "head."
    renamed = {}
    for key, value in state.items():
        for theirs, published in _MMACTION:
            key = key.replace(theirs, published)
        renamed[key.replace("cls_head.fc_cls.", head)] = value
    return renamed
