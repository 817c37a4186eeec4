"""Colours, widths and drawing styles of the creatures."""

from dataclasses import dataclass

import numpy as np

COLOURS = {
    "red": (0.84, 0.17, 0.14),
    "orange": (0.95, 0.55, 0.12),
    "yellow": (0.95, 0.87, 0.25),
    "green": (0.18, 0.60, 0.25),
    "cyan": (0.30, 0.78, 0.85),
    "blue": (0.14, 0.30, 0.78),
    "purple": (0.50, 0.22, 0.66),
    "pink": (0.95, 0.55, 0.72),
    "brown": (0.45, 0.28, 0.15),
    "white": (0.96, 0.96, 0.95),
    "grey": (0.52, 0.52, 0.53),
    "black": (0.06, 0.06, 0.07),
}


@dataclass(frozen=True)
class Look:
    """colour, second, edge: RGB in [0, 1] of the trunk, other parts and outline; width: factor of all radii; line: radius of all bones in
    frame widths, or 0; style: "filled", "outlined" or "hollow"; light: strength of the shading, from direction `sun` (2,).
    """

    name: str
    colour: np.ndarray
    second: np.ndarray
    edge: np.ndarray
    width: float
    line: float
    style: str
    light: float
    sun: np.ndarray
    bands: float
    opacity: float
    shadow: np.ndarray

    @property
    def build(self) -> str:
        """For a caption: "thin", "fat" or nothing."""
        if self.line:
            return "thin" if self.line < 0.012 else ""
        return "thin" if self.width < 0.6 else "fat" if self.width > 1.4 else ""


def _colour(rng, against: np.ndarray) -> tuple[str, np.ndarray]:
    """(name, RGB) at a random, sometimes small, distance from the colours `against` (N, 3)."""
    wanted = rng.choice([0.25, 0.4, 0.6])
    names = [str(name) for name in rng.permutation(list(COLOURS))]
    shades = [np.clip(np.array(COLOURS[name]) + rng.uniform(-0.07, 0.07, 3), 0, 1) for name in names]
    distances = [np.linalg.norm(against - shade, axis=1).min() for shade in shades]
    best = next((k for k, distance in enumerate(distances) if distance >= wanted), int(np.argmax(distances)))
    return names[best], shades[best]


def draw_look(rng, against: np.ndarray) -> Look:
    """A random look that stands out from the colours `against` (N, 3)."""
    name, colour = _colour(rng, against)
    second = colour if rng.random() < 0.5 else _colour(rng, against)[1]
    dark = rng.random() < 0.5
    edge = np.clip(colour * 0.3 if dark else 0.6 + 0.4 * colour, 0, 1)
    style = str(rng.choice(["filled", "outlined", "hollow"], p=[0.68, 0.22, 0.1]))
    return Look(
        name,
        colour,
        second,
        colour if style == "hollow" else edge,
        width=float(np.exp(rng.uniform(np.log(0.4), np.log(1.9)))) * (1.15 if style == "hollow" else 1),
        line=rng.uniform(0.006, 0.022) if rng.random() < 0.25 and style != "hollow" else 0.0,
        style=style,
        light=rng.uniform(0.1, 0.5) if rng.random() < 0.5 else 0.0,
        sun=np.array([np.cos(a := rng.uniform(0, 2 * np.pi)), np.sin(a)]),
        bands=rng.uniform(0.2, 0.5) if rng.random() < 0.2 else 0.0,
        opacity=rng.uniform(0.7, 0.95) if rng.random() < 0.12 else 1.0,
        shadow=rng.uniform(-0.06, 0.06, 2) if rng.random() < 0.2 else np.zeros(2),
    )
