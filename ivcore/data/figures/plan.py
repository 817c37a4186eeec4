"""Draws what a clip shows before anything is rendered: the cut of a motion, the person, the place, the camera.

Among any six neighbouring pairs of clothes, and any six neighbouring sectors of 5 degrees around the person, four are for training,
one for validation and one for the test.
"""

import math
from dataclasses import dataclass

import numpy as np

from ivcore.data.annotations import SPLITS
from ivcore.data.figures.motions import MOTIONS, Motion

Colour = tuple[float, float, float]

COLOURS: dict[str, Colour] = {
    "red": (0.84, 0.13, 0.12),
    "orange": (0.95, 0.50, 0.10),
    "yellow": (0.94, 0.84, 0.18),
    "green": (0.16, 0.58, 0.22),
    "turquoise": (0.12, 0.66, 0.66),
    "blue": (0.15, 0.28, 0.80),
    "purple": (0.48, 0.20, 0.68),
    "pink": (0.94, 0.50, 0.70),
    "white": (0.92, 0.92, 0.90),
    "grey": (0.50, 0.50, 0.52),
    "black": (0.10, 0.10, 0.11),
    "brown": (0.44, 0.27, 0.15),
}
_SKIN = ((0.96, 0.80, 0.69), (0.87, 0.66, 0.50), (0.72, 0.50, 0.35), (0.52, 0.34, 0.23), (0.34, 0.22, 0.15))
HAIR: dict[str, Colour] = {
    "black": (0.08, 0.07, 0.07),
    "brown": (0.33, 0.20, 0.10),
    "blond": (0.86, 0.71, 0.38),
    "red": (0.62, 0.24, 0.10),
    "white": (0.88, 0.88, 0.86),
}
GROUNDS = ("plain", "checkered", "striped", "tiled", "patchy")
SKIES: dict[str, tuple[Colour, Colour]] = {  # at the horizon, and high up
    "blue": ((0.80, 0.89, 0.97), (0.30, 0.53, 0.88)),
    "grey": ((0.82, 0.83, 0.84), (0.56, 0.59, 0.63)),
    "orange": ((0.98, 0.73, 0.45), (0.48, 0.42, 0.62)),
    "dark": ((0.26, 0.29, 0.40), (0.07, 0.08, 0.16)),
    "white": ((0.96, 0.96, 0.95), (0.88, 0.89, 0.91)),
}
# The camera stands still, turns after the person, moves beside them, goes round them, or comes nearer.
CAMERAS = ("still", "turning", "along", "round", "nearer")
_RESIDUES = {"train": (0, 1, 2, 3), "val": (4,), "test": (5,)}
_SECTORS = 72


@dataclass(frozen=True)
class Cut:
    """start: 0 to 1, see `motions.cut`. speed: of the motion, 1 is as recorded. mirrored: left and right are swapped."""

    motion: Motion
    start: float
    speed: float
    mirrored: bool


@dataclass(frozen=True)
class Person:
    """Names of colours; `colours` as red, green, blue from 0 to 1; sizes as factors of the usual ones."""

    shirt: str
    trousers: str
    hair: str
    stripes: bool
    long_sleeves: bool
    long_trousers: bool
    colours: dict[str, Colour]
    legs: float
    arms: float
    breadth: float
    thickness: float
    head: float


@dataclass(frozen=True)
class Place:
    """ground: its pattern, in two `colours`, with `scale` in metres and `turn` in radians. light: a unit direction, y upwards.

    posts: x, z, radius and height of each in metres, and its colour.
    """

    ground: str
    ground_colour: str
    colours: tuple[Colour, Colour]
    scale: float
    turn: float
    sky: str
    hills: tuple[float, ...]
    hill_colour: Colour
    light: tuple[float, float, float]
    ambient: float
    posts: tuple[tuple[tuple[float, float, float, float], Colour], ...]
    texture: int


@dataclass(frozen=True)
class View:
    """Angles in radians: side from which the person is seen (0 is the front, a quarter turn the right side), height, field of view.

    fill: the largest part of the picture that the person takes. shift: their offset from its middle, in half pictures. pace: speed
    and direction of the camera, -1 to 1.
    """

    camera: str
    side: float
    height: float
    field: float
    fill: float
    shift: tuple[float, float]
    pace: float


@dataclass(frozen=True)
class Plan:
    label: str
    cut: Cut
    person: Person
    place: Place
    view: View


def draw(seed: int, split: str, number: int, label: str) -> Plan:
    """The plan of the `number`-th clip of a split."""
    rng = np.random.default_rng([seed, SPLITS.index(split), number])
    motion = MOTIONS[label][rng.integers(len(MOTIONS[label]))]
    cut = Cut(motion, rng.uniform(), math.exp(rng.uniform(math.log(0.8), math.log(1.25))), bool(rng.integers(2)))
    person, view = _person(rng, split), _view(rng, split, motion)
    return Plan(label, cut, person, _place(rng, person, view), view)


def clothes(split: str) -> list[tuple[str, str]]:
    """The pairs (shirt, trousers) of a split."""
    names = list(COLOURS)
    return [
        (shirt, trousers)
        for i, shirt in enumerate(names)
        for j, trousers in enumerate(names)
        if i != j and (i + 5 * j) % 6 in _RESIDUES[split]
    ]


def _person(rng: np.random.Generator, split: str) -> Person:
    pairs = clothes(split)
    shirt, trousers = pairs[rng.integers(len(pairs))]
    hair = list(HAIR)[rng.integers(len(HAIR))]
    skin = _near(rng, _SKIN[rng.integers(len(_SKIN))], 0.03)
    shoes = _near(rng, COLOURS[("black", "white", "brown", "grey", "red", "blue")[rng.integers(6)]])
    colours = {
        "shirt": _near(rng, COLOURS[shirt]),
        "trousers": _near(rng, COLOURS[trousers]),
        "hair": _near(rng, HAIR[hair], 0.03),
        "skin": skin,
        "shoes": shoes,
    }
    stripes, sleeves, legs = rng.uniform(size=3) < (0.25, 0.5, 0.7)
    sizes = rng.uniform((0.92, 0.92, 0.85, 0.85, 0.92), (1.08, 1.08, 1.15, 1.4, 1.3))
    return Person(shirt, trousers, hair, bool(stripes), bool(sleeves), bool(legs), colours, *sizes.tolist())


def _place(rng: np.random.Generator, person: Person, view: View) -> Place:
    ground, sky = GROUNDS[rng.integers(len(GROUNDS))], list(SKIES)[rng.integers(len(SKIES))]
    others = [name for name in COLOURS if name not in (person.shirt, person.trousers)]
    name = others[rng.integers(len(others))]
    first = np.array(_near(rng, COLOURS[name], 0.03)) * 0.85 + 0.15 * rng.uniform(0.3, 0.7)
    second = np.clip(first * rng.uniform(0.55, 0.8) + rng.integers(2) * rng.uniform(0.1, 0.3), 0, 1)
    around, up = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(30, 75))
    light = (math.cos(around) * math.cos(up), math.sin(up), math.sin(around) * math.cos(up))
    hills = (rng.uniform(-0.05, 0.10), *rng.uniform(0, 0.05, 3), *rng.uniform(0, 2 * math.pi, 3))
    hill_colour = tuple((np.array(SKIES[sky][0]) * 0.6 + 0.4 * rng.uniform(0, 0.6, 3)).tolist())
    posts = tuple(_post(rng, view.side) for _ in range(rng.integers(4)))
    return Place(
        ground,
        name,
        (tuple(first.tolist()), tuple(second.tolist())),
        rng.uniform(0.4, 1.1),
        rng.uniform(0, 2 * math.pi),
        sky,
        tuple(float(h) for h in hills),
        hill_colour,
        light,
        rng.uniform(0.5, 0.68),
        posts,
        int(rng.integers(2**31)),
    )


def _post(rng: np.random.Generator, side: float):
    """A post that does not stand in front of the person."""
    around, far = side + math.pi + rng.uniform(-1.9, 1.9), rng.uniform(2.5, 7)
    shape = (far * math.cos(around), far * math.sin(around), rng.uniform(0.06, 0.4), rng.uniform(0.3, 2.6))
    return shape, _near(rng, list(COLOURS.values())[rng.integers(len(COLOURS))])


def _view(rng: np.random.Generator, split: str, motion: Motion) -> View:
    own = [sector for sector in range(_SECTORS) if sector % 6 in _RESIDUES[split]]
    side = (own[rng.integers(len(own))] + rng.uniform()) * 2 * math.pi / _SECTORS
    runs = abs(motion.travels) > 2  # and leaves the view of a camera that does not move
    moving = ["round", "nearer"] + ["along"] * bool(motion.travels) + ["turning"] * (not runs)
    still = rng.uniform() < 0.5 and not runs
    camera = "still" if still else moving[rng.integers(len(moving))]
    height, field = math.radians(rng.uniform(-2, 38)), math.radians(rng.uniform(28, 55))
    pace = rng.uniform(0.4, 1) * (1 if rng.integers(2) else -1)
    shift = (rng.uniform(-0.15, 0.15), rng.uniform(-0.1, 0.1))
    return View(camera, side, height, field, rng.uniform(0.36, 0.7), shift, pace)


def _near(rng: np.random.Generator, colour: Colour, by: float = 0.05) -> Colour:
    return tuple(np.clip(np.array(colour) + rng.uniform(-by, by, 3), 0.02, 1).tolist())
