"""A saved coordinated model: the two encoders under `masked.` and `multimodal.`, the modules between them beside (ivcore.cma).

`config` is what `Coordinated.config` gives and a run saves beside the weights; without it places and heads cannot be known.
"""

from __future__ import annotations

from ivcore.cma import Coordinated
from ivcore.weights import uniformerv2, videomae
from ivcore.weights.accounting import State, WeightsError, assemble, has

WHAT = "coordinated checkpoint"


def is_coordinated(state: State) -> bool:
    return has(state, "masked.") and has(state, "multimodal.")


def coordinated(state: State, config: dict) -> Coordinated:
    missing = [name for name in ("masked", "multimodal", "coordinated") if name not in config]
    if missing:
        raise WeightsError(
            f"{WHAT}: config lacks {', '.join(missing)}; load the file that the run saved, or its folder"
        )
    masked = videomae.encoder(_under("masked.", state), config["masked"])
    multimodal = uniformerv2.uniformerv2(_under("multimodal.", state), config["multimodal"])
    return assemble(Coordinated(masked, multimodal, **config["coordinated"]), state, WHAT)


def _under(prefix: str, state: State) -> State:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
