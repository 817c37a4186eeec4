"""The parts of a body: tapered rods with round ends between points of the skeleton, with the colours of skin and clothes."""

from dataclasses import dataclass

import numpy as np

from ivcore.data.figures.motions import PARENTS, POINTS
from ivcore.data.figures.plan import Colour, Person

_LOWEST = 0.03  # metres above the ground, for hands and feet that the recording puts below it
_WHITE = (0.93, 0.93, 0.9)
_TRUNK = (
    # from, to, radius at each in metres, whose colour
    ("hip", "chest", 0.105, 0.11, "shirt"),
    ("chest", "neck", 0.115, 0.10, "shirt"),
    ("right_shoulder", "left_shoulder", 0.072, 0.072, "shirt"),
    ("right_hip", "left_hip", 0.098, 0.098, "trousers"),
    ("neck", "head", 0.05, 0.05, "skin"),
    ("head", "crown", 0.092, 0.092, "skin"),
    ("nape", "hair", 0.085, 0.098, "hair"),
)
_LIMBS = (
    ("shoulder", "elbow", 0.058, 0.046, "shirt"),
    ("elbow", "wrist", 0.046, 0.036, "sleeves"),
    ("wrist", "fingers", 0.042, 0.036, "skin"),
    ("hip", "knee", 0.088, 0.062, "trousers"),
    ("knee", "ankle", 0.062, 0.043, "legs"),
    ("heel", "toe", 0.045, 0.036, "shoes"),
)
_PARTS = (*_TRUNK, *((f"{s}_{a}", f"{s}_{b}", *rest) for s in ("right", "left") for a, b, *rest in _LIMBS))


@dataclass(frozen=True)
class Rods:
    """Rods in every frame. a, b (F, N, 3): their ends. radii (N, 2). colours (N, 3). other (N, 3): of every second stripe."""

    a: np.ndarray
    b: np.ndarray
    radii: np.ndarray
    colours: np.ndarray
    other: np.ndarray

    def __add__(self, more: "Rods") -> "Rods":
        both = ((self.a, more.a, 1), (self.b, more.b, 1), (self.radii, more.radii, 0))
        both = (*both, (self.colours, more.colours, 0), (self.other, more.other, 0))
        return Rods(*(np.concatenate((mine, theirs), axis) for mine, theirs, axis in both))


def shaped(body: np.ndarray, person: Person, mirrored: bool) -> np.ndarray:
    """Fits the points `body` (F, P, 3) to this person, (F, P, 3); swaps left and right if `mirrored`. No point is below the ground."""
    scales = {"knee": person.legs, "ankle": person.legs, "elbow": person.arms, "wrist": person.arms}
    scales |= {"right_shoulder": person.breadth, "left_shoulder": person.breadth}
    shaped = np.empty_like(body)
    for index, name in enumerate(POINTS):
        parent = PARENTS[name]
        if not parent:
            shaped[:, index] = body[:, index] * person.legs  # longer legs: the hip is higher, and steps are longer
            continue
        above = POINTS.index(parent)
        scale = scales.get(name) or scales.get(name.partition("_")[2], 1.0)
        shaped[:, index] = shaped[:, above] + scale * (body[:, index] - body[:, above])
    shaped[..., 1] = np.maximum(shaped[..., 1], _LOWEST)
    return shaped * (1, 1, -1) if mirrored else shaped


def dressed(points: np.ndarray, person: Person) -> Rods:
    """The rods of a body with these points (F, P, 3)."""
    colours = dict(person.colours)
    colours["sleeves"] = colours["shirt" if person.long_sleeves else "skin"]
    colours["legs"] = colours["trousers" if person.long_trousers else "skin"]
    dark = np.array(colours["shirt"]) * 0.45
    light: Colour = tuple(dark) if person.shirt in ("white", "yellow", "pink", "grey") else _WHITE
    a, b, radii, first, second = [], [], [], [], []
    for start, end, at_start, at_end, what in _PARTS:
        a.append(points[:, POINTS.index(start)])
        b.append(points[:, POINTS.index(end)])
        wide = person.head if what == "hair" or end == "crown" else person.thickness
        radii.append((at_start * wide, at_end * wide))
        first.append(colours[what])
        cloth = what == "shirt" or (what == "sleeves" and person.long_sleeves)
        second.append(light if person.stripes and cloth else colours[what])
    return Rods(np.stack(a, 1), np.stack(b, 1), np.array(radii), np.array(first), np.array(second))
