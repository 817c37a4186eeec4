"""Meta-World: `metaworld.build(metaworld.MetaWorld(...))` renders the robot tasks once and returns their folder, see `config`."""

from ivcore.data.metaworld import label_sets
from ivcore.data.metaworld.builder import build
from ivcore.data.metaworld.config import (
    ATTEMPTS,
    SPLITS,
    Episode,
    MetaWorld,
    episodes,
    summary,
    with_training,
)

__all__ = [
    "ATTEMPTS",
    "SPLITS",
    "Episode",
    "MetaWorld",
    "build",
    "episodes",
    "label_sets",
    "summary",
    "with_training",
]
