"""Training: one loop for all stages, see `loop`. Notebooks import from here."""

from ivcore.data.batches import Batches, InMemory
from ivcore.train.checkpoints import load_weights, save_weights
from ivcore.train.loop import History, Interrupted, train
from ivcore.train.recipe import Recipe, linear_lr

__all__ = [
    "Batches",
    "History",
    "InMemory",
    "Interrupted",
    "Recipe",
    "linear_lr",
    "load_weights",
    "save_weights",
    "train",
]
