"""Activation checkpointing: what the backward pass recomputes instead of keeping, to save memory for time.

    "nothing"    recomputes nothing
    "selective"  recomputes norms and activations: about 0.6 of the memory for a few percent more time
    "full"       recomputes whole blocks: least memory, a third more time

Every encoder has an attribute `activation_checkpointing`, by default "nothing". Results do not change.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ivcore.errors import ParameterError

CHOICES = ("nothing", "selective", "full")


def set_activation_checkpointing(model: nn.Module, what: str) -> None:
    """Sets `activation_checkpointing` of a model and of all its parts that have it. ParameterError for another choice."""
    if what not in CHOICES:
        raise ParameterError(f"activation_checkpointing: {what!r} is not one of {', '.join(CHOICES)}")
    for module in model.modules():
        if hasattr(module, "activation_checkpointing"):
            module.activation_checkpointing = what


def checkpoint_selectively(module: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Returns run(x); keeps only x if the module's choice is "selective".

    `run` must end in a linear map: recomputation stops as soon as all kept tensors exist again, which is before that map.
    """
    if module.activation_checkpointing == "selective" and torch.is_grad_enabled():
        return checkpoint(run, x, use_reentrant=False, preserve_rng_state=False)
    return run(x)


def checkpoint_block(module: nn.Module, block: Callable, x: Tensor, *args) -> Tensor:
    """Returns block(x, *args); keeps only x if the module's choice is "full"."""
    if module.activation_checkpointing == "full" and torch.is_grad_enabled():
        return checkpoint(block, x, *args, use_reentrant=False)
    return block(x, *args)
