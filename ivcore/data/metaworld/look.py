"""Draws an episode's camera, light and paint from a seed, and projects points of the world into the picture."""

from dataclasses import dataclass

import numpy as np

from ivcore.data.metaworld.tasks import COLOURS

_TABLE = np.array([0, 0.67, 0.13])
FIELD_OF_VIEW = 45.0  # degrees from top to bottom, the simulator's own


@dataclass(frozen=True)
class Look:
    """Angles in degrees, lengths in metres. ambient, diffuse: of the light at the camera; lamps: RGB of the three lamps.

    table, floor: factors on red, green and blue. colour: of the thing that the task is about.
    """

    azimuth: float
    elevation: float
    distance: float
    target: tuple[float, float, float]
    ambient: float
    diffuse: float
    lamps: tuple[tuple[float, float, float], ...]
    table: tuple[float, float, float]
    floor: tuple[float, float, float]
    colour: str


def draw(seed: tuple[int, ...], middle=_TABLE) -> Look:
    """Draws a look from a seed. The camera stands beside the robot's shoulder, up to 25 degrees to each side, and looks where the hand will be.

    middle: of the hand's path; the default is the middle of most paths.
    """
    rng = np.random.default_rng(seed)
    brightness = rng.uniform(0.55, 1.05)
    warmth = rng.uniform(-0.15, 0.15) * np.array([1.0, 0.0, -1.0])
    return Look(
        azimuth=135 + rng.uniform(-25, 25),
        elevation=-33 + rng.uniform(-8, 8),
        distance=rng.uniform(0.88, 1.08),
        target=tuple((0.3 * _TABLE + 0.7 * np.asarray(middle) + rng.uniform(-0.05, 0.05, 3)).tolist()),
        ambient=brightness * rng.uniform(0.35, 0.55),
        diffuse=brightness * rng.uniform(0.2, 0.45),
        lamps=tuple(tuple(brightness * rng.uniform(0.05, 0.6) * (1 + warmth)) for _ in range(3)),
        table=tuple(rng.uniform(0.6, 1.15, 3)),
        floor=tuple(rng.uniform(0.5, 1.1, 3)),
        colour=str(rng.choice(list(COLOURS))),
    )


def project(look: Look, points: np.ndarray) -> np.ndarray:
    """Converts world points (..., 3) to (..., 2), x to the right and y down, in shares of a square picture; NaN behind the camera."""
    azimuth, elevation = np.radians([look.azimuth, look.elevation])
    forward = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    axes = np.stack([right, np.cross(forward, right), forward])  # right, down, forward
    x, y, depth = np.moveaxis((points - (np.array(look.target) - look.distance * forward)) @ axes.T, -1, 0)
    depth = np.where(depth > 0.01, depth, np.nan)
    scale = 0.5 / np.tan(np.radians(FIELD_OF_VIEW / 2))
    return np.stack([0.5 + scale * x / depth, 0.5 + scale * y / depth], -1)


def box(look: Look, points: np.ndarray) -> tuple[float, float, float, float] | None:
    """x1, y1, x2, y2 in shares of the picture around points (K, 3); None if it is outside or a point is behind the camera."""
    places = project(look, points)
    if np.isnan(places).any():
        return None
    (x1, y1), (x2, y2) = np.clip(places.min(0), 0, 1), np.clip(places.max(0), 0, 1)
    corners = tuple(round(float(v), 4) for v in (x1, y1, x2, y2))
    return corners if corners[0] < corners[2] and corners[1] < corners[3] else None


def side(look: Look, points: np.ndarray) -> str:
    """The part of the picture that holds points (K, 3): "left", "middle" or "right"."""
    x = float(np.nanmean(project(look, points)[..., 0]))
    return "left" if x < 0.43 else "right" if x > 0.57 else "middle"
