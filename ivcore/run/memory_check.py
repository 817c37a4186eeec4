"""Warns before the first training step if steps will not fit into the device's memory, by the counts of `iv plan`."""

from __future__ import annotations

from ivcore import costs
from ivcore.errors import UserError
from ivcore.run import planned
from ivcore.run.spec import Spec
from ivcore.scaling import GIB, Accelerator, estimate, largest_micro_batch


def warning(spec: Spec, values: dict, memory: float, ranks: int = 1) -> str:
    """A warning if a step of the run needs more than the `memory` bytes of each of `ranks` devices; "" if it fits.

    Also "" if that is unknown: for a notebook without a plan, or an encoder of unknown size. values: parameters of the
    run.
    """
    try:
        kinds = planned.steps_of(spec, values)
        card = Accelerator(memory / GIB, {values["precision"]: 1.0}, 1.0, 1.0)
        how = {"gpus": ranks, "engine": values["engine"], "precision": values["precision"], "offload": values["offload"] != "nothing"}  # fmt: skip
        at_once = values["micro_batch"] * values.get("repeats", 1)
        counted = [(kind, costs.training_step(kind.build, kind.run, values["precision"])) for kind in kinds]
        needs = [estimate(step, card, batch=kind.batch, micro_batch=at_once, **how) for kind, step in counted]
        if all(need.fits(card) for need in needs):
            return ""
        most = min(largest_micro_batch(step, card, batch=kind.batch, **how) for kind, step in counted)
    except UserError:
        return ""
    worst = max(needs, key=lambda need: need.memory)
    said = f"this run may not fit its device: a step takes about {worst.memory / GIB:.1f} GiB by count, and there are {memory / GIB:.1f}"
    return f"{said}; {_less(values, most // values.get('repeats', 1))}"


def _less(values: dict, most: int) -> str:
    """Names of parameters that save memory. most: the number of clips at once that fit."""
    if most:
        return f"micro_batch={most} is the most that fits"
    ways = [] if values["activation_checkpointing"] == "full" else ["activation_checkpointing=full"]
    ways += [] if values["engine"] in ("fsdp", "zero3") else ["engine=zero3 on several devices"]
    return f"not even one clip at once does; {', '.join(ways) or 'a smaller model'} takes less"


def of_device(spec: Spec, values: dict, device: str, ranks: int) -> str:
    """`warning` for a GPU's memory. The CPU gets none: other programs share its memory, and it can swap."""
    if not device.startswith("cuda"):
        return ""
    import torch

    return warning(spec, values, torch.cuda.get_device_properties(device).total_memory, ranks)
