"""A body is a tree of bones. Angles are in radians from the x axis, y points down, so -90 degrees is up."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Bone:
    """`angle` at rest, absolute; `at`: where on its parent it starts, 0 to 1; `draw`: "line", "ball" (at its end) or "none"."""

    parent: int
    at: float
    angle: float
    length: float
    radius: tuple[float, float]
    part: str
    far: bool = False
    draw: str = "line"


@dataclass
class Body:
    """Bones, parents first, and the parts that they play.

    limbs: chains of bone numbers, from the trunk outwards; legs: the limbs that carry; spread: the limbs that open and close; head: the
    bones that nod; bend: the bones that bow (none: the whole body); chain: the longest run of bones, through which a wave goes.
    """

    name: str
    bones: list[Bone] = field(default_factory=list)
    limbs: list[list[int]] = field(default_factory=list)
    legs: list[int] = field(default_factory=list)
    spread: list[int] = field(default_factory=list)
    head: list[int] = field(default_factory=list)
    bend: list[int] = field(default_factory=list)
    chain: list[int] = field(default_factory=list)

    def add(self, parent, degrees, length, radius, end=None, *, at=1.0, part="trunk", far=False, draw="line") -> int:
        """Adds a bone, tapered from `radius` to `end`, and returns its number. A parent of -1 is the root point."""
        radii = (radius, radius if end is None else end)
        self.bones.append(Bone(parent, at, np.deg2rad(degrees), length, radii, part, far, draw))
        return len(self.bones) - 1

    def limb(
        self, parent, degrees, lengths, radius, end=None, *, at=1.0, part="limb", far=False, leg=False
    ) -> list[int]:
        """Adds a limb of one bone for each of `lengths`; `degrees` is one absolute angle for each. Returns its bones."""
        radii = np.linspace(radius, radius if end is None else end, len(lengths) + 1)
        chain = []
        for k, (angle, length) in enumerate(zip(degrees, lengths)):
            above, start = (chain[-1], 1.0) if chain else (parent, at)
            chain.append(self.add(above, angle, length, radii[k], radii[k + 1], at=start, part=part, far=far))
        self.limbs.append(chain)
        if leg:
            self.legs.append(len(self.limbs) - 1)
        return chain

    def angles(self) -> np.ndarray:
        return np.array([bone.angle for bone in self.bones])

    def points(self, joint: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Start and end of every bone, (T, B, 2, 2), for joint offsets (T, B) in radians and length factors (T, B)."""
        frames, count = joint.shape
        points = np.zeros((frames, count, 2, 2))
        turned = np.zeros((frames, count))  # how far a bone is from its angle at rest
        for b, bone in enumerate(self.bones):
            turned[:, b] = joint[:, b]
            if bone.parent >= 0:
                turned[:, b] += turned[:, bone.parent]
                first, last = points[:, bone.parent, 0], points[:, bone.parent, 1]
                points[:, b, 0] = first + bone.at * (last - first)
            angle = bone.angle + turned[:, b]
            step = bone.length * scale[:, b, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
            points[:, b, 1] = points[:, b, 0] + step
        return points

    @property
    def tall(self) -> bool:
        """True if, at rest, it is about as high as wide, or higher."""
        width, height = np.ptp(self.rest().reshape(-1, 2), axis=0)
        return height > 0.9 * width

    def rest(self) -> np.ndarray:
        """Start and end of every bone at rest, (B, 2, 2)."""
        return self.points(np.zeros((1, len(self.bones))), np.ones((1, len(self.bones))))[0]
