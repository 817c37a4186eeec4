"""Paints ground, sky and hills as the camera sees them without people."""

from dataclasses import dataclass

import numpy as np

from ivcore.data.figures.plan import SKIES, Place

_FOG = 22.0  # metres over which the ground takes on two thirds of the sky's colour


@dataclass(frozen=True)
class Backdrop:
    """For each frame and pixel, with F = 1 if all frames are equal. colours (F, S, S, 3). depth (F, S, S): metres to the ground, infinite in
    the sky. ground (F, S, S, 2): x and z of that place on the ground."""

    colours: np.ndarray
    depth: np.ndarray
    ground: np.ndarray


def backdrop(rays: np.ndarray, position: np.ndarray, place: Place) -> Backdrop:
    """rays (F, S, S, 3): unit directions in the world. position (F, 3): of the camera."""
    depth = np.where(rays[..., 1] < -1e-3, -position[:, None, None, 1] / np.minimum(rays[..., 1], -1e-3), np.inf)
    depth = depth.astype(np.float32)
    near = np.minimum(depth, 200)[..., None]
    ground = position[:, None, None, ::2] + rays[..., ::2] * near
    is_ground = depth < 200
    horizon, high = (np.array(colour, np.float32) for colour in SKIES[place.sky])
    colours = np.empty(rays.shape, np.float32)
    sky = rays[~is_ground]
    colours[~is_ground] = _sky(sky, place, horizon, high)
    floor = _floor(ground[is_ground], depth[is_ground], place)
    fog = np.exp(-depth[is_ground] / _FOG)[:, None]
    colours[is_ground] = floor * fog + horizon * (1 - fog)
    return Backdrop(colours, depth, ground)


def _sky(rays: np.ndarray, place: Place, horizon: np.ndarray, high: np.ndarray) -> np.ndarray:
    height = np.clip(rays[:, 1:2], 0, 1)
    sky = horizon + (high - horizon) * np.minimum(height * 1.8, 1)
    level, *waves = place.hills
    around = np.arctan2(rays[:, 2], rays[:, 0])
    hills = level + sum(waves[k] * np.sin((3, 7, 13)[k] * around + waves[3 + k]) for k in range(3))
    return np.where((rays[:, 1] < hills)[:, None], np.array(place.hill_colour, np.float32), sky)


def _floor(ground: np.ndarray, depth: np.ndarray, place: Place) -> np.ndarray:
    """Colours (N, 3) of places (N, 2) on the ground."""
    cos, sin = np.cos(place.turn), np.sin(place.turn)
    x, z = (ground @ np.array([[cos, -sin], [sin, cos]], np.float32) / place.scale).T
    if place.ground == "checkered":
        share = (np.floor(x) + np.floor(z)) % 2
    elif place.ground == "striped":
        share = np.floor(x * 1.5) % 2
    elif place.ground == "tiled":
        share = ((x % 1 < 0.08) | (z % 1 < 0.08)).astype(np.float32)
    elif place.ground == "patchy":
        share = _patches(x, z, place.texture)
    else:
        share = np.zeros_like(x)
    mean = {"plain": 0, "tiled": 0.15}.get(place.ground, 0.5)
    clear = np.clip(1.4 - depth / 14, 0, 1)  # far away a pixel holds several patches
    share = (mean + (share - mean) * clear)[:, None]
    first, second = (np.array(colour, np.float32) for colour in place.colours)
    return first + (second - first) * share


def _patches(x: np.ndarray, z: np.ndarray, seed: int) -> np.ndarray:
    """Values from 0 to 1 in patches of two sizes, which repeat only far away."""
    table = np.random.default_rng(seed).random((64, 64), dtype=np.float32)
    coarse = (table + np.roll(table, 1, 0) + np.roll(table, 1, 1) + np.roll(table, (1, 1), (0, 1))) / 4
    pick = lambda values, size: values[np.floor(x * size).astype(int) & 63, np.floor(z * size).astype(int) & 63]  # noqa: E731
    return np.clip(0.5 + 2 * (pick(coarse, 3) - 0.5) + 0.7 * (pick(table, 11) - 0.5), 0, 1)
