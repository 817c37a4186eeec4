"""What the backward pass computes again instead of keeping: memory against time.

    "nothing"  keeps everything
    "cheap"    norms and activations again: about 0.6 of the memory for a few percent of the time
    "blocks"   whole blocks again: least memory, a third more time

Every encoder has an attribute `recompute`, "nothing" at first. Numbers do not change.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ivcore.errors import ParameterError

CHOICES = ("nothing", "cheap", "blocks")


def set_recompute(model: nn.Module, what: str) -> None:
    """Set `recompute` on a model and on all its parts that have it."""
    if what not in CHOICES:
        raise ParameterError(f"recompute: {what!r} is not one of {', '.join(CHOICES)}")
    for module in model.modules():
        if hasattr(module, "recompute"):
            module.recompute = what


def cheaply(module: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """run(x), keeping only x if the module recomputes cheap things.

    `run` must end in a linear map: recomputing stops as soon as everything that was kept is there again, which is before that map.
    """
    if module.recompute == "cheap" and torch.is_grad_enabled():
        return checkpoint(run, x, use_reentrant=False, preserve_rng_state=False)
    return run(x)


def by_block(module: nn.Module, block: Callable, x: Tensor, *args) -> Tensor:
    """block(x, *args), keeping only x if the module recomputes blocks."""
    if module.recompute == "blocks" and torch.is_grad_enabled():
        return checkpoint(block, x, *args, use_reentrant=False)
    return block(x, *args)
