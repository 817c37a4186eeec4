"""What the backward pass computes again instead of keeping: memory against time.

    "nothing"    keeps everything
    "selective"  norms and activations again: about 0.6 of the memory for a few percent of the time
    "full"       whole blocks again: least memory, a third more time

Every encoder has an attribute `activation_checkpointing`, "nothing" at first. Numbers do not change.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ivcore.errors import ParameterError

CHOICES = ("nothing", "selective", "full")


def set_activation_checkpointing(model: nn.Module, what: str) -> None:
    """Set `activation_checkpointing` on a model and on all its parts that have it."""
    if what not in CHOICES:
        raise ParameterError(f"activation_checkpointing: {what!r} is not one of {', '.join(CHOICES)}")
    for module in model.modules():
        if hasattr(module, "activation_checkpointing"):
            module.activation_checkpointing = what


def checkpoint_selectively(module: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """run(x), keeping only x if the module recomputes what is cheap.

    `run` must end in a linear map: recomputing stops as soon as everything that was kept is there again, which is before that map.
    """
    if module.activation_checkpointing == "selective" and torch.is_grad_enabled():
        return checkpoint(run, x, use_reentrant=False, preserve_rng_state=False)
    return run(x)


def checkpoint_block(module: nn.Module, block: Callable, x: Tensor, *args) -> Tensor:
    """block(x, *args), keeping only x if the module recomputes blocks."""
    if module.activation_checkpointing == "full" and torch.is_grad_enabled():
        return checkpoint(block, x, *args, use_reentrant=False)
    return block(x, *args)
