"""Floor plans drawn from a seed: rooms in rows and columns, doorways with coloured frames, and coloured things as landmarks.

Positions are float (…, 2): x and z in metres. A heading is in radians from the x axis towards z, which lies to its right as in MiniWorld and Habitat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ivcore.data.navigation.grid import Grid
from ivcore.errors import UserError, shown

COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
DOOR_COLOURS = COLOURS[:5]
KINDS = ("box", "ball", "key", "pillar")
DOOR, FRAME = 1.2, 0.45  # metres: width of an opening, and of its painted frame on either side
RADIUS = 0.35  # of a thing, in metres
BODY = 0.2  # metres that the agent keeps from walls and things


@dataclass(frozen=True)
class Room:
    """A rectangle in metres. tint: float RGB of its walls, without a meaning."""

    x0: float
    x1: float
    z0: float
    z1: float
    tint: tuple[float, float, float]

    @property
    def middle(self) -> np.ndarray:
        return np.array([(self.x0 + self.x1) / 2, (self.z0 + self.z1) / 2])

    def holds(self, place) -> bool:
        return self.x0 <= place[0] <= self.x1 and self.z0 <= place[1] <= self.z1


@dataclass(frozen=True)
class Door:
    """An opening in the wall between two rooms (their numbers), around x, z. along: 0 if the wall runs along x, 1 if along z."""

    rooms: tuple[int, int]
    x: float
    z: float
    along: int
    colour: str

    @property
    def middle(self) -> np.ndarray:
        return np.array([self.x, self.z])


@dataclass(frozen=True)
class Landmark:
    kind: str
    colour: str
    room: int
    x: float
    z: float

    @property
    def middle(self) -> np.ndarray:
        return np.array([self.x, self.z])

    @property
    def words(self) -> str:
        return f"{self.colour} {self.kind}"


@dataclass(frozen=True)
class Wall:
    """A piece of wall from a to b. colour: "" if it is plain, else that of a door's frame."""

    a: tuple[float, float]
    b: tuple[float, float]
    colour: str = ""


@dataclass(frozen=True, eq=False)
class FloorPlan:
    """name: its name in episodes."""

    name: str
    rooms: tuple[Room, ...]
    doors: tuple[Door, ...]
    landmarks: tuple[Landmark, ...]
    walls: tuple[Wall, ...]

    def room_at(self, place) -> int:
        """The number of the room that holds a place; -1 outside."""
        return next((number for number, room in enumerate(self.rooms) if room.holds(place)), -1)

    def doors_of(self, room: int) -> list[Door]:
        return [door for door in self.doors if room in door.rooms]

    @cached_property
    def grid(self) -> Grid:
        """Where an agent can stand."""
        size = max(room.x1 for room in self.rooms), max(room.z1 for room in self.rooms)
        solid = [(wall.a, wall.b, BODY) for wall in self.walls]
        return Grid(size, solid + [((thing.x, thing.z), (thing.x, thing.z), RADIUS + BODY) for thing in self.landmarks])


@lru_cache(maxsize=512)
def plan_named(name: str) -> FloorPlan:
    """Draws the floor plan of a name such as plan-0-12-0003 from its seed, kind and number. UserError for any other name."""
    match = re.fullmatch(r"plan-([0-9]{1,18})-([0-9]{1,6})-([0-9]{1,9})", name)
    if not match:
        raise UserError(f"scene {shown(name)}: is no floor plan of ours, which have names such as plan-0-0-0003")
    return draw(name, np.random.default_rng(list(map(int, match.groups()))))


def draw(name: str, rng: np.random.Generator, rows: int = 3, columns: int = 3) -> FloorPlan:
    """A plan of rows x columns rooms. Every room can be reached; a room's doors have different colours, and so have its things."""
    xs = np.concatenate([[0], rng.uniform(3.8, 5.2, columns).cumsum()])
    zs = np.concatenate([[0], rng.uniform(3.8, 5.2, rows).cumsum()])
    spots = [(column, row) for row in range(rows) for column in range(columns)]
    rooms = tuple(Room(*map(float, (xs[c], xs[c + 1], zs[r], zs[r + 1])), _tint(rng)) for c, r in spots)
    doors = _doors(rng, rooms, columns)
    things = tuple(thing for number in range(len(rooms)) for thing in _things(rng, number, rooms[number], doors))
    return FloorPlan(name, rooms, doors, things, _walls(rooms, doors))


def _tint(rng) -> tuple[float, float, float]:
    return tuple(float(each) for each in rng.uniform(0.5, 0.8) + rng.uniform(-0.05, 0.05, 3))


def _doors(rng, rooms, columns: int) -> tuple[Door, ...]:
    """Doors of a tree that connects all rooms, and in a third of the other walls."""
    pairs = [(a, b) for a in range(len(rooms)) for b in (a + 1, a + columns) if _share_wall(a, b, len(rooms), columns)]
    reached, doors, spare = list(range(len(rooms))), [], []
    for place in rng.permutation(len(pairs)):
        a, b = pairs[place]
        if reached[a] != reached[b]:
            reached = [reached[a] if each == reached[b] else each for each in reached]
        elif rng.random() > 0.34:
            spare.append((a, b))
            continue
        taken = {door.colour for door in doors if set(door.rooms) & {a, b}}
        free = [colour for colour in DOOR_COLOURS if colour not in taken]
        if free or not _joined(doors, a, b):
            doors.append(_door(rng, rooms, a, b, str(rng.choice(free or DOOR_COLOURS))))
    return tuple(doors)


def _share_wall(a: int, b: int, count: int, columns: int) -> bool:
    return b < count and (b - a == columns or b // columns == a // columns)


def _joined(doors: list[Door], a: int, b: int) -> bool:
    """True if a path leads from a to b already."""
    seen = {a}
    while more := {room for door in doors if set(door.rooms) & seen for room in door.rooms} - seen:
        seen |= more
    return b in seen


def _door(rng, rooms, a: int, b: int, colour: str) -> Door:
    one, other = rooms[a], rooms[b]
    margin = DOOR / 2 + FRAME + 0.2
    if one.x1 == other.x0:
        return Door((a, b), one.x1, float(rng.uniform(one.z0 + margin, one.z1 - margin)), 1, colour)
    return Door((a, b), float(rng.uniform(one.x0 + margin, one.x1 - margin)), one.z1, 0, colour)


def _things(rng, number: int, room: Room, doors) -> list[Landmark]:
    """Two things near walls, clear of doorways and of each other."""
    things: list[Landmark] = []
    near = [door.middle for door in doors if number in door.rooms]
    kinds, colours = rng.permutation(KINDS), rng.permutation(COLOURS)
    for _ in range(60):
        x, z = rng.uniform(room.x0 + 0.7, room.x1 - 0.7), rng.uniform(room.z0 + 0.7, room.z1 - 0.7)
        wall = min(x - room.x0, room.x1 - x, z - room.z0, room.z1 - z)
        free = all(np.hypot(*(door - [x, z])) > 1.3 for door in near)
        apart = all(np.hypot(thing.x - x, thing.z - z) > 1.5 for thing in things)
        if wall < 1.0 and free and apart:
            things.append(Landmark(str(kinds[len(things)]), str(colours[len(things)]), number, float(x), float(z)))
        if len(things) == 2:
            break
    return things


def _walls(rooms, doors) -> tuple[Wall, ...]:
    """Each room's right and lower wall, and the outer walls to the left and above."""
    walls = []
    for room in rooms:
        sides = {1: [room.x1] + [room.x0] * (room.x0 == 0), 0: [room.z1] + [room.z0] * (room.z0 == 0)}
        for along, places in sides.items():
            ends = (room.z0, room.z1) if along else (room.x0, room.x1)
            walls += [wall for at in places for wall in _side(doors, along, float(at), ends)]
    return tuple(walls)


def _side(doors, along: int, at: float, ends: tuple[float, float]) -> list[Wall]:
    """One wall, with a doorway if it has one."""

    def piece(begin: float, end: float, colour: str = "") -> Wall:
        return Wall((at, begin), (at, end), colour) if along else Wall((begin, at), (end, at), colour)

    for door in doors:
        across, place = (door.x, door.z) if along else (door.z, door.x)
        if door.along == along and across == at and ends[0] < place < ends[1]:
            left, right = place - DOOR / 2, place + DOOR / 2
            frames = [piece(left - FRAME, left, door.colour), piece(right, right + FRAME, door.colour)]
            return [piece(ends[0], left - FRAME), *frames, piece(right + FRAME, ends[1])]
    return [piece(*ends)]
