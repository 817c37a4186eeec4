"""AdamW and SGD, their parameter groups, and the learning-rate schedule, as in VideoMAE's and BEiT's code."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from ivcore.errors import ParameterError
from ivcore.train.recipe import Recipe


def lr_at(step: int, total: int, peak: float, floor: float = 0.0, warmup: int = 0, start: float = 0.0,
          drops: Sequence[float] = ()) -> float:  # fmt: skip
    """Learning rate of `step` (from 0): linear from `start` to `peak` in `warmup` steps, then a cosine towards `floor`.

    As published, the last warm-up step and the first cosine step are both at the peak, and the cosine would reach
    `floor` one step after the end. drops: shares of the steps; each divides the rate by ten. With drops there is no
    cosine.
    """
    if step < warmup:
        return start + (peak - start) * step / max(1, warmup - 1)
    if drops:
        return max(floor, peak * 0.1 ** sum(step >= round(share * total) for share in drops))
    return floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def parameter_groups(model: nn.Module, weight_decay: float, layer_decay: float | None = None) -> list[dict]:
    """timm's groups of trainable parameters, each with `weight_decay` and `lr_scale` (factor on the learning rate).

    One-dimensional parameters, biases, and names (or patterns) in `model.no_weight_decay()` get no decay.
    Layer decay: with L blocks, scale_i = layer_decay ** (L + 1 - i); i = 0 is the patch embedding, L + 1 the head. The
    model's `group_matcher` gives the layer of each parameter (timm's idiom). ParameterError if the model has none.
    """
    from timm.optim import param_groups_layer_decay, param_groups_weight_decay  # slow to import, and only needed here

    spared = tuple(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else ()
    if layer_decay is None:
        groups = param_groups_weight_decay(model, weight_decay, no_weight_decay_list=spared)
        return [{**group, "lr_scale": 1.0} for group in groups]
    if not hasattr(model, "group_matcher"):
        raise ParameterError(
            f"layer_decay={layer_decay}: {type(model).__name__} does not say which layer a parameter is in (group_matcher)"
        )
    return param_groups_layer_decay(model, weight_decay, spared, layer_decay=layer_decay)


def with_shares(groups: list[dict], model: nn.Module, shares: Sequence[tuple[str, float]]) -> list[dict]:
    """Splits the groups of `parameter_groups` and multiplies `lr_scale` by the share of the parameter's name.

    shares: (beginning of the name, share); the first match counts, "" matches all.
    """
    name = {id(parameter): name for name, parameter in model.named_parameters()}
    cut: dict[tuple[int, float], dict] = {}
    for number, group in enumerate(groups):
        for parameter in group["params"]:
            share = next((share for begin, share in shares if name[id(parameter)].startswith(begin)), 1.0)
            own = group | {"params": [], "lr_scale": group["lr_scale"] * share}
            cut.setdefault((number, share), own)["params"].append(parameter)
    return list(cut.values())


def optimizer_of(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over `parameter_groups`, fused. ParameterError if nothing is trainable."""
    groups = parameter_groups(model, recipe.weight_decay, recipe.layer_decay)
    groups = with_shares(groups, model, recipe.lr_shares) if recipe.lr_shares else groups
    if not groups:
        raise ParameterError(f"{type(model).__name__} has no trainable parameter")
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.betas[0], nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=tuple(recipe.betas), eps=recipe.eps, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]
