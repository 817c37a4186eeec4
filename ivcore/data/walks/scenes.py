"""Draws the scene of a walk without the simulator: rooms, things, light, and the camera's path.

The rooms are built around the path, so that it meets no wall and no thing.
"""

from dataclasses import dataclass

import numpy as np

from ivcore.data.walks.moves import MOVES, Aim

COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
# name in a sentence -> (mesh of MiniWorld, height in metres, radius in metres, only outdoors)
MESHES = {
    "barrel": ("barrel", 1.1, 0.5, False),
    "traffic cone": ("cone", 0.8, 0.4, False),
    "yellow duck": ("duckie", 0.7, 0.5, False),
    "first-aid kit": ("medkit", 0.5, 0.5, False),
    "office chair": ("office_chair", 1.1, 0.5, False),
    "desk": ("office_desk", 0.9, 1.0, False),
    "potion": ("potion", 0.7, 0.4, False),
    "road barrier": ("barrier", 0.9, 0.9, True),
    "tree": ("tree", 3.2, 0.9, True),
    "fir tree": ("tree_pine", 3.6, 0.9, True),
}


@dataclass(frozen=True)
class Place:
    """words: its name in captions. along, across: metres from the path to the walls, relative to the first heading. height: of walls, metres."""

    words: str
    floors: tuple[str, ...]
    walls: tuple[str, ...]
    along: tuple[float, float]
    across: tuple[float, float]
    height: tuple[float, float]
    open_air: bool = False
    neighbour: bool = False


_INDOOR_FLOORS = ("floor_tiles_bw", "wood", "wood_planks", "marble", "concrete", "concrete_tiles", "cardboard")
_INDOOR_WALLS = (
    "brick_wall",
    "cinder_blocks",
    "concrete",
    "drywall",
    "marble",
    "metal_grill",
    "stucco",
    "wood",
    "wood_planks",
    "white",
    "rock",
)
_CEILINGS = ("ceiling_tiles", "ceiling_tile_noborder", "concrete_tiles", "wood_planks", "white")
PLACES = {
    "room": Place("a room", _INDOOR_FLOORS, _INDOOR_WALLS, (0.8, 4), (0.8, 4), (2.4, 3.4)),
    "hall": Place("a narrow hall", _INDOOR_FLOORS, _INDOOR_WALLS, (3, 9), (0.6, 1.2), (2.4, 3.2)),
    "two rooms": Place("a room with a door to another room", _INDOOR_FLOORS, _INDOOR_WALLS, (1, 3), (1, 3), (2.4, 3.2), neighbour=True),
    "yard": Place("a yard", ("grass", "concrete", "rock", "concrete_tiles"), ("brick_wall", "cinder_blocks", "rock", "picket_fence", "wood_planks"), (2, 8), (2, 8), (1.0, 3.0), open_air=True),
    "street": Place("a street", ("asphalt", "concrete_tiles"), ("brick_wall", "concrete", "stucco"), (10, 25), (1.5, 5), (2.5, 6), open_air=True),
}  # fmt: skip
SKIES = {"blue": (0.35, 0.65, 0.95), "grey": (0.72, 0.74, 0.77), "evening": (0.95, 0.6, 0.4), "night": (0.05, 0.06, 0.16)}  # fmt: skip


@dataclass(frozen=True)
class Thing:
    """kind: "box", "ball", "key" or a name of MESHES. x, z: metres. size: height in metres. turn: radians."""

    kind: str
    colour: str
    x: float
    z: float
    size: float
    radius: float
    turn: float

    @property
    def words(self) -> str:
        noun = f"{self.colour} {self.kind}" if self.colour else self.kind
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@dataclass(frozen=True)
class Box:
    """A rectangle on the floor, in metres."""

    x0: float
    x1: float
    z0: float
    z1: float


@dataclass(frozen=True)
class Scene:
    """poses (frames, 4): x, z, direction in radians, camera height. sky: "" under a ceiling. things: the first is the one in sight."""

    place: str
    room: Box
    next_room: Box | None
    textures: tuple[str, str, str, str, str]  # floor, wall, ceiling, and the next room's floor and wall
    wall_height: float
    sky: str
    things: tuple[Thing, ...]
    poses: np.ndarray
    pitch: float
    fov: float
    seed: int


def draw(label: str, rng: np.random.Generator, frames: int) -> Scene:
    """Draws a scene for the movement `label`, one of MOVES."""
    place = str(rng.choice(list(PLACES)))
    kind = PLACES[place]
    aim = Aim(float(rng.uniform(2.6, 4.4)), float(rng.uniform(-0.9, 0.9)))
    way = MOVES[label](rng, frames, aim)
    hero = _thing(rng, kind.open_air, most=0.6)
    if label == "walks forward":  # the path passes beside the thing
        reach = way[:, 0].max() + hero.radius + 0.5
        aim = Aim(max(aim.ahead, reach), aim.left)
    heading = _heading(rng, place)
    turned = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    # MiniWorld's z points to the right of x, so left is -z.
    spots = np.concatenate([way[:, :2], [[aim.ahead, aim.left]]]) @ turned.T * [1, -1]
    room = _around(rng, kind, spots)
    hero = _at(hero, *spots[-1])
    things = [hero, *_others(rng, kind, room, spots, hero)]
    poses = np.column_stack([spots[:-1], heading + way[:, 2], way[:, 3]])
    textures = [str(rng.choice(t)) for t in (kind.floors, kind.walls, _CEILINGS, kind.floors, kind.walls)]
    neighbour = Box(room.x1 + 0.2, room.x1 + rng.uniform(3, 7), room.z0, room.z1) if kind.neighbour else None
    return Scene(
        place, room, neighbour, tuple(textures), float(rng.uniform(*kind.height)),
        str(rng.choice(list(SKIES))) if kind.open_air else "", tuple(things), poses,
        float(rng.uniform(-14, -2)), float(rng.uniform(55, 72)), int(rng.integers(2**31)),
    )  # fmt: skip


def _heading(rng, place: str) -> float:
    """Draws a direction in radians: along a long place, towards a door if there is one, otherwise any."""
    if place in ("hall", "street"):
        return float(rng.choice([0, np.pi]) + rng.uniform(-0.2, 0.2))
    if place == "two rooms":
        return float(rng.uniform(-0.7, 0.7))
    return float(rng.uniform(-np.pi, np.pi))


def _around(rng, kind: Place, spots: np.ndarray) -> Box:
    least = 0.7
    x0, z0 = spots.min(0) - least - [rng.uniform(*kind.along), rng.uniform(*kind.across)]
    x1, z1 = spots.max(0) + least + [rng.uniform(*kind.along), rng.uniform(*kind.across)]
    return Box(float(x0), float(x1), float(z0), float(z1))


def _thing(rng, open_air: bool, most: float = 9.0) -> Thing:
    """Draws a thing with a radius of at most `most` metres; its place is set later."""
    meshes = [name for name, (_, _, radius, outdoors) in MESHES.items() if radius <= most and outdoors <= open_air]
    kind = str(rng.choice(["box", "box", "ball", "ball", "key", *meshes]))
    turn = float(rng.uniform(-np.pi, np.pi))
    if kind in MESHES:
        _, height, radius, _ = MESHES[kind]
        return Thing(kind, "", 0.0, 0.0, height, radius, turn)
    size = float(rng.uniform(0.5, 0.85)) * (0.8 if kind == "key" else 1)
    return Thing(kind, str(rng.choice(COLOURS)), 0.0, 0.0, size, 0.7 * size, turn)


def _at(thing: Thing, x: float, z: float) -> Thing:
    return Thing(thing.kind, thing.colour, float(x), float(z), thing.size, thing.radius, thing.turn)


def _others(rng, kind: Place, room: Box, spots: np.ndarray, hero: Thing) -> list[Thing]:
    """Two to seven more things, as far as they fit, clear of the path, of walls and of each other."""
    placed: list[Thing] = []
    for _ in range(int(rng.integers(2, 8))):
        thing = _thing(rng, kind.open_air)
        for _ in range(8):
            x, z = rng.uniform(room.x0, room.x1), rng.uniform(room.z0, room.z1)
            wall = min(x - room.x0, room.x1 - x, z - room.z0, room.z1 - z)
            free = np.hypot(*(spots - [x, z]).T).min() > thing.radius + 0.9
            apart = all(np.hypot(o.x - x, o.z - z) > o.radius + thing.radius + 0.2 for o in [hero, *placed])
            if wall > thing.radius and free and apart:
                placed.append(_at(thing, x, z))
                break
    return placed


def in_sight(scene: Scene, thing: Thing) -> bool:
    """True if the thing is within the view of the first frame and not far away; occlusion is ignored."""
    x, z, heading, _ = scene.poses[0]
    dx, dz = thing.x - x, thing.z - z
    angle = (np.arctan2(-dz, dx) - heading + np.pi) % (2 * np.pi) - np.pi
    return bool(abs(np.degrees(angle)) < scene.fov / 2 - 4 and np.hypot(dx, dz) < 9)
