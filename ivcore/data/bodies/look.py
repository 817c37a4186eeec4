"""Draws how a scene looks from a seed: paint, ground, sky, light and camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COLOURS = {
    "red": (0.85, 0.15, 0.12),
    "orange": (0.95, 0.55, 0.1),
    "yellow": (0.95, 0.88, 0.2),
    "green": (0.2, 0.65, 0.25),
    "blue": (0.15, 0.3, 0.85),
    "purple": (0.55, 0.25, 0.7),
    "white": (0.92, 0.92, 0.9),
    "black": (0.1, 0.1, 0.11),
}
_GREY = np.array([0.3, 0.59, 0.11])  # weights of red, green and blue in brightness
_APART = 0.28  # least difference in brightness between body and ground


@dataclass(frozen=True)
class Look:
    """Colours are red, green and blue from 0 to 1, angles are degrees, lengths are in body sizes.

    second: colour of every other part, None if all have the first. shade: how much the parts differ in brightness. pattern: MuJoCo's
    name of the ground's pattern; ground, ground_2: its colours; squares: how many of its squares fit in one body size. dots: share of
    the ground with spots. sun: direction from which the light comes.
    """

    colour: str
    second: tuple[float, float, float] | None
    shade: float
    pattern: str
    ground: tuple[float, float, float]
    ground_2: tuple[float, float, float]
    squares: float
    dots: float
    sky: tuple[float, float, float]
    ambient: float
    diffuse: float
    sunlight: float
    sun: tuple[float, float, float]
    azimuth: float
    elevation: float
    distance: float
    target: tuple[float, float, float]


def draw(rng: np.random.Generator) -> Look:
    colour = str(rng.choice(list(COLOURS)))
    ground = _apart(COLOURS[colour], rng, 0.18)
    other = np.clip(ground + rng.choice([-1, 1]) * rng.uniform(0.05, 0.15) + rng.uniform(-0.03, 0.03, 3), 0, 1)
    angle = rng.uniform(0, 2 * np.pi)
    return Look(
        colour=colour,
        second=_plain(_apart(ground, rng, 0.4)) if rng.random() < 0.4 else None,
        shade=rng.uniform(0.05, 0.2),
        pattern=str(rng.choice(["checker", "gradient", "flat"])),
        ground=_plain(ground),
        ground_2=_plain(other),
        squares=rng.uniform(0.7, 3),
        dots=float(rng.choice([0, rng.uniform(0.01, 0.06)])),
        sky=_plain(rng.uniform(0.3, 0.95, 3)),
        ambient=rng.uniform(0.3, 0.5),
        diffuse=rng.uniform(0.15, 0.35),
        sunlight=rng.uniform(0.2, 0.45),
        sun=(float(np.cos(angle)), float(np.sin(angle)), rng.uniform(0.5, 2)),
        azimuth=rng.uniform(0, 360),
        elevation=-rng.uniform(12, 45),
        distance=rng.uniform(2.5, 3.5),
        target=(rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), rng.uniform(0.2, 0.45)),
    )


def _apart(other: Sequence[float], rng: np.random.Generator, vivid: float) -> np.ndarray:
    """Draws a colour (3,) that is clearly brighter or darker than `other`. vivid: largest distance of a channel from grey."""
    while True:
        colour = np.clip(rng.uniform(0.08, 0.95) + rng.uniform(-vivid, vivid, 3), 0, 1)
        if abs((colour - other) @ _GREY) > _APART:
            return colour


def _plain(colour: np.ndarray) -> tuple[float, float, float]:
    return tuple(float(value) for value in colour)


def paints(look: Look, pieces: int, rng: np.random.Generator) -> np.ndarray:
    """Colours (pieces, 3) of a body's pieces, in order. Each piece has its own shade."""
    colours = np.tile(COLOURS[look.colour], (pieces, 1))
    if look.second is not None:
        colours[1::2] = look.second
    return np.clip(colours * rng.uniform(1 - look.shade, 1 + look.shade, (pieces, 1)), 0, 1)
