"""Draws episodes in floor plans from a seed. Splits have different plans; only `val_seen` has the plans of training, with other paths."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ivcore.data.formats import Episode
from ivcore.data.navigation import instructions
from ivcore.data.navigation.plans import FloorPlan, plan_named
from ivcore.data.navigation.simulator import distances_to

SPLITS = ("train", "val_seen", "val_unseen", "test")
A_PLAN = 5  # episodes of each floor plan
SHORTEST, LONGEST, DOORS = 5.0, 14.0, (1, 4)  # of a path: metres, and number of doors


@dataclass(frozen=True)
class World:
    """Numbers of episodes in each split."""

    train: int = 300
    val_seen: int = 60
    val_unseen: int = 60
    test: int = 200
    seed: int = 0

    def episodes(self, split: str) -> list[Episode]:
        """The episodes of a split, five in each floor plan."""
        place = SPLITS.index("train" if split == "val_seen" else split)
        seen, found = -(-self.train // A_PLAN), []
        for number in range(-(-getattr(self, split) // A_PLAN)):
            plan = plan_named(f"plan-{self.seed}-{place}-{number % seen if split == 'val_seen' else number:04d}")
            rng = np.random.default_rng([self.seed, SPLITS.index(split), number, 1])
            ways: list[Episode] = []
            while len(ways) < A_PLAN:
                ways += draw(f"{split}-{len(found) + len(ways):05d}", plan, rng)
            found += ways
        return found[: getattr(self, split)]


def draw(name: str, plan: FloorPlan, rng: np.random.Generator) -> list[Episode]:
    """Draws one episode; [] if its path has an unsuitable length or number of doors."""
    thing = plan.landmarks[rng.integers(len(plan.landmarks))]
    goal = plan.grid.nearest_free(thing.middle)
    far = distances_to(plan, tuple(goal.tolist()))
    fits = (far >= SHORTEST) & (far <= LONGEST)
    cells = np.argwhere(fits)
    if not len(cells):
        return []
    start = plan.grid.middle(cells[rng.integers(len(cells))])
    way = plan.grid.path(start, goal, far)
    close = _close(way)
    rooms = [plan.room_at(place) for place in close]
    if not DOORS[0] <= sum(a != b for a, b in itertools.pairwise(rooms)) <= DOORS[1]:
        return []
    told = instructions.instruct(plan, close, thing, rng)
    heading = float(rng.uniform(-np.pi, np.pi))
    return [Episode(name, plan.name, _raised(start), heading, _raised(goal), told, tuple(map(_raised, way)))]


def _close(way: np.ndarray) -> np.ndarray:
    """The path with a place about every ten centimetres."""
    parts = [a + (b - a) * np.linspace(0, 1, max(2, int(np.linalg.norm(b - a) / 0.1)))[:-1, None] for a, b in itertools.pairwise(way)]  # fmt: skip
    return np.concatenate([*parts, way[-1:]])


def _raised(place) -> tuple[float, float, float]:
    return float(place[0]), 0.0, float(place[1])
