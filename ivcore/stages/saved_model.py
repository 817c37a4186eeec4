"""Saves the final model of a run as a file that any command can use on any video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ivcore.encoders.tokenizer import Tokenizer
from ivcore.run import Run
from ivcore.train import save_weights
from ivcore.weights import usage


def save(run: Run, model: nn.Module, classes: Sequence[str] = (), tokenizer: Tokenizer | None = None) -> Path:
    """Writes the run's checkpoints/model.safetensors: weights, the model's config, and its usage in the run, see
    `weights.usage`.

    classes: names of the head's rows, for a classifier. tokenizer: of a video-text model.
    """
    used = usage.of_run(run.params, model, classes, tokenizer).saved(model)
    return save_weights(model, run.checkpoints / "model.safetensors", model.config | used)
