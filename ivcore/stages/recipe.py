"""A `Recipe` from the parameters of a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from ivcore.train.recipe import Recipe, linear_lr

SCALED = ("lr", "min_lr", "warmup_lr")
OFF_AT_ZERO = ("steps", "clip_grad", "ema_decay")


def recipe_of(params: Mapping, batches, *, betas: tuple[float, float] = (0.9, 0.999), **numbers) -> Recipe:
    """The recipe for these batches that parameters of a notebook (`run.params`) describe.

    Every parameter with the name of a field of `Recipe` counts. If scale_lr is given and true, learning rates are
    scaled by `linear_lr`. 0 switches off steps, clip_grad and ema_decay. steps, if given, override epochs. numbers:
    further fields, which override the parameters. ParameterError as from `Recipe`.
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
