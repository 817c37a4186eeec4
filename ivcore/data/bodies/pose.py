"""Turns a motion into a body's pose: hinge angles, attitude, and place relative to a camera."""

import numpy as np

from ivcore.data.bodies.models import Body

_FREE = 1.2  # radians to each side for a hinge without a range
_WIDER = 1.5  # how far a hinge may go, in multiples of its range: some ranges are too narrow to see


def angles(span: tuple[float, float] | None, rest: float, swing: np.ndarray) -> np.ndarray:
    """Hinge angles over time (T,): `swing` (T,) about the rest. The centre shifts if the swing would leave the range.

    span: lowest and highest angle in radians, None without a range. rest: -1 to 1.
    """
    low, high = span or (-_FREE, _FREE)
    middle, half = (low + high) / 2, (high - low) / 2
    least, most = middle - _WIDER * half, middle + _WIDER * half
    rest = (middle + half * rest) / 3  # closer to straight than to the middle
    shift = max(least - (rest + swing.min()), 0) - max(rest + swing.max() - most, 0)
    return np.clip(rest + shift + swing, least, most)


def attitude(body: Body, tilt: float | None, turn: float, azimuth: float) -> np.ndarray:
    """The rotation (3, 3) of a body that is tilted, then turned about the vertical.

    tilt: radians from standing, None for the natural attitude. turn: radians; at 0 the side faces a camera at `azimuth`, in degrees.
    """
    natural = np.pi / 2 if body.flat else 0.0
    tilted = 0.0 if tilt is None else tilt - natural
    side = np.radians(azimuth - 90 - body.heading)
    return _about_z(side + turn) @ _about_x(tilted) @ _about_z(np.radians(body.heading))


def ground_place(place: np.ndarray, azimuth: float) -> np.ndarray:
    """Converts `place` (right, away from the camera) to (x, y) in the world."""
    angle = np.radians(azimuth)
    right, away = (np.sin(angle), -np.cos(angle)), (np.cos(angle), np.sin(angle))
    return place[0] * np.array(right) + place[1] * np.array(away)


def _about_x(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_z(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
