"""A miniature of R2R for continuous environments: VLN-CE's files with generated floor plans, not Matterport3D's houses, so they can be walked."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np

from ivcore.data import formats
from ivcore.data.formats import Episode
from ivcore.data.navigation.episodes import SPLITS, World
from ivcore.metrics.navigation import STEP, dense

TURN = np.radians(15)  # a turn action


def r2r(folder: Path) -> None:
    """Writes the episodes of all splits. The test split has no goals and references, as in the release."""
    world = World(train=10, val_seen=5, val_unseen=5, test=5)
    for split in SPLITS:
        episodes = [replace(each, name=str(number)) for number, each in enumerate(world.episodes(split), 1)]
        hidden = split == "test"
        shown = [replace(each, goal=None, reference=()) for each in episodes] if hidden else episodes
        formats.write_vln_episodes(folder / split / f"{split}.json.gz", shown)
        if not hidden:
            formats.write_vln_truth(folder / split / f"{split}_gt.json.gz", map(_walked, episodes))


def _walked(each: Episode) -> Episode:
    """The episode with every position of its path as reference, and the actions along it: 0 stop, 1 step, 2 left, 3 right."""
    heading, actions, corners = each.heading, [], np.array(each.reference)
    for a, b in itertools.pairwise(corners):
        way = float(np.arctan2(b[2] - a[2], b[0] - a[0]))
        turns = round(((way - heading + np.pi) % (2 * np.pi) - np.pi) / TURN)
        actions += [3 if turns > 0 else 2] * abs(turns) + [1] * round(float(np.linalg.norm(b - a)) / STEP)
        heading += turns * TURN
    return replace(each, reference=tuple(map(tuple, dense(corners).tolist())), actions=(*actions, 0))
