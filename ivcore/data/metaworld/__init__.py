"""Meta-World: `metaworld.build(metaworld.MetaWorld(...))` renders the robot tasks once and returns their folder, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.metaworld import label_sets
from ivcore.data.metaworld.builder import build
from ivcore.data.metaworld.config import ATTEMPTS, SPLITS, Episode, MetaWorld, episodes, summary, with_training
from ivcore.data.metaworld.play import require_simulator
from ivcore.data.metaworld.tasks import MOTION, TASKS

MOTION_CLASSES = tuple(TASKS[task].label for task in MOTION)
