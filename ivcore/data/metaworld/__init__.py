"""Meta-World: `metaworld.build(metaworld.MetaWorld(...))` renders the robot tasks once and returns their folder, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.metaworld import label_sets
from ivcore.data.metaworld.builder import build
from ivcore.data.metaworld.config import ATTEMPTS, SPLITS, Episode, MetaWorld, episodes, summary, with_training
