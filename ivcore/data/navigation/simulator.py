"""The protocol of the simulators that an agent walks in, and the simulator of our own floor plans.

Three kinds have this protocol: floor plans drawn by `ray_caster` or by MiniWorld (`miniworld`), and Habitat (`habitat`). Positions are
float (3,), x, height and z in metres. A heading is in radians from the x axis towards z. View k of a panorama looks at 2 pi k / headings,
whatever the agent's heading, so that a view keeps its direction while the agent walks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from ivcore.data.formats import Episode
from ivcore.data.navigation.plans import FloorPlan, plan_named
from ivcore.metrics.navigation import SUCCESS_DISTANCE

STEP = 0.25  # metres of one step


@dataclass(frozen=True)
class Waypoint:
    """A reachable place, `distance` metres away at `heading`; `view` is the panorama's view that looks there."""

    view: int
    heading: float
    distance: float


class Simulator(Protocol):
    """One agent in one scene at a time. `path` holds every position since `reset`, the current one last; `collisions` counts steps that hit something."""

    headings: int
    path: list[np.ndarray]
    heading: float
    collisions: int

    def reset(self, episode: Episode) -> None:
        """Puts the agent at the episode's start. UserError for a missing scene."""

    def look(self, places: Sequence, views: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Draws n views of a panorama, each from its place: uint8 (n, size, size, 3), and float32 (n, size, size), depth in metres."""

    def waypoints(self) -> list[Waypoint]:
        """The places that the agent can walk to, at most one a view."""

    def go_to(self, waypoint: Waypoint) -> None:
        """Turns to the waypoint and walks there in steps; slides along obstacles and counts them."""

    def geodesic(self, place) -> float:
        """Metres of the shortest path from a place to the episode's goal."""


class PlanSimulator:
    """Walks in floor plans. painter: has `draw(plan, places (n, 2), facing (n,))`, like `RayCaster`. reach: most metres to a waypoint."""

    def __init__(self, painter, headings: int = 8, reach: float = 1.5):
        self.painter, self.headings, self.reach = painter, headings, reach

    def reset(self, episode: Episode) -> None:
        self.plan = plan_named(episode.scene)
        self.path, self.heading, self.collisions = [np.array(episode.start, float)], episode.heading, 0
        self._far = distances_to(self.plan, (episode.goal[0], episode.goal[2]))

    def look(self, places: Sequence, views: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        return self.painter.draw(self.plan, np.asarray(places)[:, ::2], 2 * np.pi * np.asarray(views) / self.headings)

    def waypoints(self) -> list[Waypoint]:
        free = self.plan.grid.is_free
        return open_ways(lambda places: free(places[..., ::2]), self.path[-1], self.headings, self.reach)

    def go_to(self, waypoint: Waypoint) -> None:
        self.heading = waypoint.heading
        ahead, left = along(self.heading), waypoint.distance
        while left > 1e-6 and self._step(ahead * min(STEP, left)):
            left -= STEP

    def _step(self, move: np.ndarray) -> bool:
        """Makes a step, along a wall if necessary; False if it is impossible."""
        here = self.path[-1]
        for part, slid in ((move, 0), (move * [1, 0, 0], 1), (move * [0, 0, 1], 1)):
            if np.abs(part).max() > 0.01 and self.plan.grid.clear(here[::2], (here + part)[::2]):
                self.path.append(here + part)
                self.collisions += slid
                return True
        self.collisions += 1
        return False

    def geodesic(self, place) -> float:
        return float(self._far[self.plan.grid.cell((place[0], place[2]))])


def along(heading) -> np.ndarray:
    """A step of one metre along `heading` (…,): float (…, 3)."""
    heading = np.asarray(heading)
    return np.stack([np.cos(heading), np.zeros_like(heading, dtype=float), np.sin(heading)], -1)


def open_ways(is_free: Callable[[np.ndarray], np.ndarray], place, headings: int, reach: float) -> list[Waypoint]:
    """For each view, the direction in which one can walk farthest, if that is at least half a metre; the middle one of equally good ones.

    is_free: places (…, 3) -> bool (…,). The published agent predicts waypoints from depth; here they come from the simulator's map.
    """
    each = 11  # directions of a view
    turns = 2 * np.pi / headings * (np.arange(headings)[:, None] + (np.arange(each) - each // 2) / each)
    lengths = np.arange(0.1, reach + 1.5, 0.1)
    free = is_free(place + along(turns)[..., None, :] * lengths[:, None]).cumprod(-1).sum(-1) * 0.1  # metres
    best = [int(np.median(np.flatnonzero(row >= row.max() - 0.15))) for row in free]
    reached = np.minimum(free[np.arange(headings), best] - 0.1, reach)
    ways = [Waypoint(view, float(turns[view, best[view]]), float(reached[view])) for view in range(headings)]
    return [way for way in ways if way.distance >= 0.5]


@lru_cache(maxsize=2048)
def distances_to(plan: FloorPlan, goal: tuple[float, float]) -> np.ndarray:
    """float (X, Z): metres from each cell of the plan's grid to a goal."""
    return plan.grid.distances([goal])[0]


def expert_action(simulator: Simulator, waypoints: Sequence[Waypoint], near: float = 1.0) -> Waypoint | None:
    """The waypoint on the shortest path to the goal. None to stop: within `near` metres of it, where a stop is a success
    and no waypoint leads nearer, or without waypoints."""
    here = simulator.path[-1]
    left = simulator.geodesic(here)
    ends = [here + w.distance * along(w.heading) for w in waypoints]
    ways = [(w.distance + simulator.geodesic(end), simulator.geodesic(end), k) for k, (w, end) in enumerate(zip(waypoints, ends))]  # fmt: skip
    nearer = [way for way in ways if way[1] < left - 0.2]
    arrived = left <= near or (left <= SUCCESS_DISTANCE and not nearer)
    return None if arrived or not ways else waypoints[min(nearer or ways)[2]]
