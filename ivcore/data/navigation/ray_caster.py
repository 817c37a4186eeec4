"""Draws a floor plan from inside with numpy alone: one ray a column for walls, floor and ceiling, then upright things in front.

It draws the same plans as MiniWorld in a plainer style, and needs no graphics library.
"""

from __future__ import annotations

import numpy as np

from ivcore.data.navigation.plans import RADIUS, FloorPlan

EYE, CEILING = 1.4, 2.6  # metres above the floor
FAR = 30.0  # metres: the depth where nothing is
PAINT = {
    "red": (0.85, 0.1, 0.1),
    "green": (0.1, 0.65, 0.15),
    "blue": (0.1, 0.2, 0.85),
    "purple": (0.55, 0.15, 0.7),
    "yellow": (0.95, 0.85, 0.1),
    "grey": (0.35, 0.35, 0.38),
}
TOPS = {"box": 0.9, "ball": 0.9, "key": 1.3, "pillar": 2.0}  # metres


class RayCaster:
    """size: height and width in pixels. fov: degrees across."""

    def __init__(self, size: int, fov: float):
        edge = np.tan(np.radians(fov) / 2)
        self.size, centres = size, (np.arange(size, dtype=np.float32) + 0.5) / size
        self.across = np.float32(edge) * (2 * centres - 1)  # tangent of each column to the right
        self.up = -self.across  # tangent of each row above the horizon

    def draw(self, plan: FloorPlan, places, facing) -> tuple[np.ndarray, np.ndarray]:
        """Draws n views from places (n, 2) towards facing (n,): uint8 (n, size, size, 3), and float32 (n, size, size), metres along the view."""
        eyes, facing = np.asarray(places, np.float32), np.asarray(facing, np.float32)
        ahead = np.stack([np.cos(facing), np.sin(facing)], -1)
        right = np.stack([-np.sin(facing), np.cos(facing)], -1)
        colour, depth = self._rooms(plan, eyes, ahead, right)
        self._things(plan, eyes, ahead, right, colour, depth)
        return (255 * np.clip(colour, 0, 1)).astype(np.uint8), depth

    def _rooms(self, plan: FloorPlan, eyes, ahead, right):
        rays = (ahead[:, None] + self.across[None, :, None] * right[:, None]).astype(np.float32)
        reach, wall, along = _first_wall(plan, eyes, rays)
        hit = eyes[:, None] + rays * (reach - 0.01)[..., None]  # just before the wall: in the room that it is seen from
        tints = np.array([room.tint for room in plan.rooms], np.float32)
        plain = tints[_rooms_of(plan, hit)]
        painted = np.array([PAINT.get(each.colour, (-1, -1, -1)) for each in plan.walls], np.float32)[wall]
        face = np.where(painted[..., :1] < 0, plain * (0.88 + 0.12 * (np.floor(along * 2.5) % 2))[..., None], painted)
        face = face * (1 / (1 + 0.02 * reach**2) * 0.6 + 0.4)[..., None]
        up = self.up[None, :, None]
        height = EYE + up * reach[:, None, :]
        flat = np.where(up < 0, -EYE / np.minimum(up, -1e-6), (CEILING - EYE) / np.maximum(up, 1e-6))
        depth = np.minimum(np.broadcast_to(flat, height.shape), reach[:, None, :]).astype(np.float32)
        ground = eyes[:, None, None] + rays[:, None] * depth[..., None]
        checks = 0.42 + 0.1 * ((np.floor(ground[..., 0]) + np.floor(ground[..., 1])) % 2)
        level = np.where(height < 0, checks, 0.9)[..., None]
        level = level * np.where((height < 0)[..., None], np.array([1, 0.95, 0.85], np.float32), 1)
        is_wall = (height >= 0) & (height <= CEILING)
        return np.where(is_wall[..., None], face[:, None], level).astype(np.float32), np.minimum(depth, FAR)

    def _things(self, plan: FloorPlan, eyes, ahead, right, colour, depth) -> None:
        """Draws the things into the pictures, the farthest first."""
        if not plan.landmarks:
            return
        apart = np.array([thing.middle for thing in plan.landmarks])[None] - eyes[:, None]
        forward, aside = (apart * ahead[:, None]).sum(-1), (apart * right[:, None]).sum(-1)
        seen = (forward > 0.3) & (np.abs(aside) - RADIUS < forward * self.across[-1])
        seen &= forward < depth[:, self.size // 2].max(1)[:, None]
        views, things = np.nonzero(seen)
        for k in np.argsort(-forward[views, things]):
            view, thing, away = views[k], plan.landmarks[things[k]], forward[views[k], things[k]]
            x = (away * self.across - aside[view, things[k]])[None, :] / RADIUS
            y = (EYE + away * self.up)[:, None]
            inside = _silhouette(thing.kind, x, y) & (away < depth[view])
            shade = np.broadcast_to(1 - 0.35 * np.clip(x, -1, 1) ** 2, inside.shape)
            colour[view][inside] = shade[inside][:, None] * np.array(PAINT[thing.colour], np.float32)
            depth[view][inside] = away


def _first_wall(plan: FloorPlan, eyes: np.ndarray, rays: np.ndarray):
    """(reach, wall, along), each (views, columns): how far each ray goes in multiples of its length, the wall's number, metres along it."""
    a, b = (np.array([getattr(wall, end) for wall in plan.walls], np.float32) for end in "ab")
    across, off = b - a, a[None] - eyes[:, None]
    # eye + t ray = a + s (b - a)
    turn = rays[..., None, 0] * across[:, 1] - rays[..., None, 1] * across[:, 0]
    turn = np.where(np.abs(turn) < 1e-9, 1e-9, turn)
    t = (off[..., 0] * across[:, 1] - off[..., 1] * across[:, 0])[:, None] / turn
    s = (off[:, None, :, 0] * rays[..., None, 1] - off[:, None, :, 1] * rays[..., None, 0]) / turn
    t = np.where((t > 1e-4) & (s >= -1e-4) & (s <= 1 + 1e-4), t, np.inf)
    wall = t.argmin(-1)
    reach = np.minimum(np.take_along_axis(t, wall[..., None], -1)[..., 0], FAR)
    lengths = np.linalg.norm(across, axis=1)
    return reach, wall, np.take_along_axis(s, wall[..., None], -1)[..., 0] * lengths[wall]


def _rooms_of(plan: FloorPlan, places: np.ndarray) -> np.ndarray:
    """The number of the room that holds each place; 0 outside."""
    numbers = np.zeros(places.shape[:-1], int)
    for number, room in enumerate(plan.rooms):
        x, z = places[..., 0], places[..., 1]
        numbers[(x >= room.x0) & (x <= room.x1) & (z >= room.z0) & (z <= room.z1)] = number
    return numbers


def _silhouette(kind: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """True for points of a thing; x in radii from its middle, y in metres above the floor."""
    top = TOPS[kind]
    if kind == "ball":
        return x**2 + ((y - top / 2) / (top / 2)) ** 2 <= 1
    if kind == "key":  # a ring above a narrow shaft
        ring = np.hypot(x, (y - 0.95) / 0.35)
        return ((ring <= 1) & (ring > 0.45)) | ((np.abs(x) < 0.28) & (y >= 0) & (y < 0.7))
    return (np.abs(x) <= (0.6 if kind == "pillar" else 1.0)) & (y >= 0) & (y <= top)
