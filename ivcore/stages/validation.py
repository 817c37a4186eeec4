"""When a training run is scored on its validation videos."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ivcore.train.recipe import Recipe


def every_second_epoch(
    measure: Callable[[nn.Module], dict], recipe: Recipe, batches
) -> Callable[[int, nn.Module], dict]:
    """`on_epoch` for `train`: what `measure(model)` returns after every second epoch and after the last step, {} after
    the other epochs. batches: those of the training.
    """
    an_epoch = len(batches)
    total = recipe.total_steps(an_epoch)

    def on_epoch(epoch: int, model: nn.Module) -> dict:
        return {} if epoch % 2 and epoch * an_epoch < total else measure(model)

    return on_epoch
