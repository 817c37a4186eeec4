"""From the parameters of a notebook to a `Recipe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from ivcore.train.recipe import Recipe, linear_lr

SCALED = ("lr", "min_lr", "warmup_lr")
OFF_AT_ZERO = ("steps", "clip_grad", "ema_decay")


def recipe_of(params: Mapping, batches, *, betas: tuple[float, float] = (0.9, 0.999), **numbers) -> Recipe:
    """The recipe that parameters of a notebook (`run.params`) describe, for these batches.

    Every parameter that has the name of a field of `Recipe` counts. Learning rates are scaled by `linear_lr` where there is a parameter
    scale_lr and it is true; 0 switches off steps, clip_grad and ema_decay; steps, where they are given, win over epochs. numbers: further
    fields, which win over the parameters. ParameterError as from `Recipe`.
    """
    size = batches.batch_size
    given = {field.name: params[field.name] for field in fields(Recipe) if field.name in params}
    given |= {name: linear_lr(given[name], size, params.get("scale_lr", False)) for name in SCALED if name in given}
    given |= {"batch_size": size, "betas": betas, "micro_batch": min(given.get("micro_batch", 0), size)}
    given |= numbers
    given |= {name: given.get(name) or None for name in OFF_AT_ZERO}
    if given["steps"]:
        given["epochs"] = None
    if "log_every" not in given:
        given["log_every"] = max(1, min(10, Recipe(**given).total_steps(len(batches)) // 10))
    return Recipe(**given)
