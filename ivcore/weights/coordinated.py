"""Loads a saved coordinated model (ivcore.cma): the two encoders under `masked.` and `multimodal.`, and the modules between them.

`config` is that of `Coordinated.config`, which a run saves with the weights; it is needed for the positions and heads of the modules.
"""

from __future__ import annotations

from ivcore.cma import Coordinated
from ivcore.weights import uniformerv2, videomae
from ivcore.weights.accounting import State, WeightsError, assemble, has
from ivcore.weights.fields import Fields

WHAT = "coordinated checkpoint"


def is_coordinated(state: State) -> bool:
    return has(state, "masked.") and has(state, "multimodal.")


def coordinated(state: State, config: Fields) -> Coordinated:
    missing = [name for name in ("masked", "multimodal", "coordinated") if not config.get(name)]
    if missing:
        raise WeightsError(
            f"{WHAT}: config lacks {', '.join(missing)}; load the file that the run saved, or its folder"
        )
    masked = videomae.encoder(_under("masked.", state), config.part("masked"))
    multimodal = uniformerv2.uniformerv2(_under("multimodal.", state), config.part("multimodal"))
    return assemble(Coordinated(masked, multimodal, **_options(config.part("coordinated"))), state, WHAT)


def _options(fields: Fields) -> dict:
    """The arguments of `Coordinated`, with checked types; fields that are not given keep their defaults."""
    rates = {"dropout": 1.0, "head_drop": 1.0, "gate": 1e6, "ffn_ratio": 64.0}
    options = {
        "placement": _placement(fields),
        "stages": fields.count("stages"),
        "heads": fields.count("heads"),
        "frames": fields.count("frames"),
        "fusion": fields.choice("fusion", "sigmoid", "raw"),
        "fuse": fields.choice("fuse", "probabilities", "logits"),
        **{name: fields.flag(name) for name in ("reverse", "per_class", "frozen")},
        **{name: fields.number(name, least=-most, most=most) for name, most in rates.items()},
    }
    nothing = ("heads", "gate", "head_drop")  # fields where null is a value
    return {
        name: value
        for name, value in options.items()
        if value is not None or (name in nothing and name in fields.values)
    }


def _placement(fields: Fields) -> list | None:
    pairs = fields.get("placement")
    sound = isinstance(pairs, list) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(type(block) is int for block in pair)
        for pair in pairs
    )
    if pairs is not None and not sound:
        fields.refuse("placement", pairs, "a list of pairs of block numbers")
    return pairs


def _under(prefix: str, state: State) -> State:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
