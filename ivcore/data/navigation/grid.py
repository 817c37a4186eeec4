"""A grid of cells of 0.2 m: where one can stand, and how far it is from any cell to a place, exactly on the grid."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import cached_property

import numpy as np

CELL = 0.2  # metres
# Steps to the neighbours: straight, diagonal, and a knight's move, so that path lengths are right within 3 % at any angle.
_STEPS = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if {abs(i), abs(j)} in ({0, 1}, {1}, {1, 2})]


class Grid:
    """free: bool (X, Z). size: metres in x and z. solid: (a, b, metres that a centre keeps from the line from a to b)."""

    def __init__(self, size: tuple[float, float], solid: Sequence[tuple]):
        self.shape = tuple(int(np.ceil(each / CELL)) for each in size)
        places = np.stack(np.meshgrid(*(CELL * (np.arange(n) + 0.5) for n in self.shape), indexing="ij"), -1)
        self.free = np.ones(self.shape, bool)
        for a, b, keep in solid:
            self.free &= _distance(places, np.array(a), np.array(b)) > keep
        self._open = {step: self._passable(step) for step in _STEPS}

    def cell(self, place) -> tuple[int, int]:
        x, z = (min(max(int(each / CELL), 0), n - 1) for each, n in zip(place, self.shape))
        return x, z

    def middle(self, cell) -> np.ndarray:
        return CELL * (np.asarray(cell, float) + 0.5)

    def is_free(self, places) -> np.ndarray:
        """bool (…,) for places (…, 2); False outside the grid."""
        cells = np.floor(np.asarray(places) / CELL).astype(int)
        inside = ((cells >= 0) & (cells < self.shape)).all(-1)
        cells = np.where(inside[..., None], cells, 0)
        return inside & self.free[cells[..., 0], cells[..., 1]]

    def clear(self, a, b) -> bool:
        """True if one can walk straight from a to b."""
        a, b = np.asarray(a, float), np.asarray(b, float)
        count = max(2, int(np.linalg.norm(b - a) / (CELL / 4)))
        return bool(self.is_free(a + (b - a) * np.linspace(0, 1, count)[:, None]).all())

    def nearest_free(self, place) -> np.ndarray:
        """The middle of the free cell that is nearest to a place."""
        cells = np.argwhere(self.free)
        return self.middle(cells[((self.middle(cells) - place) ** 2).sum(1).argmin()])

    def distances(self, goals) -> np.ndarray:
        """float (G, X, Z): metres from each cell to each of the goals (G, 2); inf if there is no path."""
        return np.stack([self._distances(self.cell(goal)) for goal in goals])

    def _distances(self, goal: tuple[int, int]) -> np.ndarray:
        """Dijkstra's algorithm."""
        far = [np.inf] * self.free.size
        begin = goal[0] * self.shape[1] + goal[1]
        far[begin], queue, ways = 0.0, [(0.0, begin)], self._ways
        while queue:
            length, cell = heapq.heappop(queue)
            if length > far[cell]:
                continue
            for step, cost in ways[cell]:
                there = cell + step
                if length + cost < far[there]:
                    far[there] = length + cost
                    heapq.heappush(queue, (length + cost, there))
        return np.array(far).reshape(self.shape)

    @cached_property
    def _ways(self) -> list[list[tuple[int, float]]]:
        """For each cell: (step in flat cells, metres) of every possible step."""
        ways: list[list[tuple[int, float]]] = [[] for _ in range(self.free.size)]
        for (i, j), passable in self._open.items():
            here = _overlap(i, self.shape[0])[0].start, _overlap(j, self.shape[1])[0].start
            way = (i * self.shape[1] + j, CELL * float(np.hypot(i, j)))
            for x, z in (np.argwhere(passable) + here).tolist():
                ways[x * self.shape[1] + z].append(way)
        return ways

    def path(self, start, goal, far: np.ndarray) -> np.ndarray:
        """float (n, 2): corners of a shortest path from start to goal; there must be one. far: `distances` to the goal, (X, Z)."""
        cells = [self.cell(start)]
        while far[cells[-1]] > 0:
            x, z = cells[-1]
            ways = [(far[x + i, z + j] + CELL * np.hypot(i, j), (x + i, z + j)) for i, j in _STEPS if self._goes(x, z, i, j)]  # fmt: skip
            cells.append(min(ways)[1])
        places = [np.asarray(start, float), *map(self.middle, cells[1:-1]), np.asarray(goal, float)]
        corners, at = [places[0]], 0
        while at < len(places) - 1:
            at = next((k for k in range(len(places) - 1, at + 1, -1) if self.clear(places[at], places[k])), at + 1)
            corners.append(places[at])
        return np.array(corners)

    def _goes(self, x: int, z: int, i: int, j: int) -> bool:
        here, there = _overlap(i, self.shape[0])[0], _overlap(j, self.shape[1])[0]
        inside = here.start <= x < here.stop and there.start <= z < there.stop
        return inside and bool(self._open[i, j][x - here.start, z - there.start])

    def _passable(self, step: tuple[int, int]) -> np.ndarray:
        """For each cell with a neighbour at `step`: True if both are free, and the cells between them."""
        (i, j), free = step, self.free
        here, there = _overlap(i, self.shape[0]), _overlap(j, self.shape[1])
        passable = free[here[0], there[0]] & free[here[1], there[1]]
        for di, dj in _between(i, j):
            padded = np.pad(free, 2)
            beside = padded[2 + di : 2 + di + self.shape[0], 2 + dj : 2 + dj + self.shape[1]]
            passable &= beside[here[0], there[0]]
        return passable


def _overlap(step: int, length: int) -> tuple[slice, slice]:
    """Slices of the cells that have a neighbour `step` further, and of these neighbours."""
    return slice(max(0, -step), length - max(0, step)), slice(max(0, step), length + min(0, step))


def _between(i: int, j: int) -> list[tuple[int, int]]:
    """The cells that a step crosses."""
    if abs(i) + abs(j) == 1:
        return []
    if abs(i) == abs(j):
        return [(i, 0), (0, j)]
    unit = (i // max(1, abs(i)) if abs(i) == 2 else 0, j // max(1, abs(j)) if abs(j) == 2 else 0)
    return [unit, (i - unit[0], j - unit[1])]


def _distance(places: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Metres from each place (…, 2) to the line from a to b."""
    length = float(((b - a) ** 2).sum())
    share = np.clip(((places - a) @ (b - a)) / length, 0, 1) if length else np.zeros(places.shape[:-1])
    return np.linalg.norm(places - (a + share[..., None] * (b - a)), axis=-1)
