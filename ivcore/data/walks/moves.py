"""How the camera moves: a path of poses for each class. Most classes differ from another one only in the order of frames.

A pose is (forward, left, turn, height): metres from the start, radians to the left of the first heading, metres above the floor.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_STANDING = (1.25, 1.65)
_CROUCHED = (0.35, 0.6)
NEAR = 1.6  # metres from a thing at which the walker stops


@dataclass(frozen=True)
class Aim:
    """The thing in sight at the start: metres ahead and to the left."""

    ahead: float
    left: float


def _straight(forward: float, left: float):
    """A walk of 1.2 to 2.4 metres in this direction, with the bobbing of steps."""

    def way(rng, frames: int, aim: Aim) -> np.ndarray:
        time = np.linspace(0, 1, frames)
        length = rng.uniform(1.2, 2.4) * (1 if forward else 0.75)
        return _poses(time * length * forward, time * length * left, 0 * time, _bobbing(rng, time))

    return way


def _turn(side: int):
    def way(rng, frames: int, aim: Aim) -> np.ndarray:
        time = np.linspace(0, 1, frames)
        angle = np.radians(rng.uniform(45, 100))
        return _poses(0 * time, 0 * time, side * angle * time, rng.uniform(*_STANDING) + 0 * time)

    return way


def _look_around(rng, frames: int, aim: Aim) -> np.ndarray:
    """Turns to one side, then to the other, then back."""
    time = np.linspace(0, 1, frames)
    angle = np.radians(rng.uniform(28, 45)) * rng.choice([-1, 1])
    return _poses(0 * time, 0 * time, angle * np.sin(2 * np.pi * time), rng.uniform(*_STANDING) + 0 * time)


def _height(down: bool):
    def way(rng, frames: int, aim: Aim) -> np.ndarray:
        time = np.linspace(0, 1, frames)
        high, low = rng.uniform(*_STANDING), rng.uniform(*_CROUCHED)
        share = _smooth(time if down else 1 - time)
        return _poses(0 * time, 0 * time, 0 * time, high + (low - high) * share)

    return way


def _circle(side: int):
    """Walks around the thing, facing it as at the start; side 1 walks to the left."""

    def way(rng, frames: int, aim: Aim) -> np.ndarray:
        time = np.linspace(0, 1, frames)
        angle = np.radians(rng.uniform(35, 65)) * time * side
        # The start, turned about the thing: clockwise as seen from above is to the left.
        forward = aim.ahead - aim.ahead * np.cos(angle) - aim.left * np.sin(angle)
        left = aim.left + aim.ahead * np.sin(angle) - aim.left * np.cos(angle)
        return _poses(forward, left, -angle, _bobbing(rng, time))

    return way


def _stop(rng, frames: int, aim: Aim) -> np.ndarray:
    """Walks towards the thing and stands before it for about the last third."""
    time = np.linspace(0, 1, frames)
    share = np.minimum(time / rng.uniform(0.55, 0.7), 1)
    distance = np.hypot(aim.ahead, aim.left)
    way = share * max(distance - NEAR, 0.3) / distance
    heading = np.arctan2(aim.left, aim.ahead) * np.minimum(2 * share, 1)
    return _poses(way * aim.ahead, way * aim.left, heading, _bobbing(rng, share))


def _smooth(share: np.ndarray) -> np.ndarray:
    return share * share * (3 - 2 * share)


def _bobbing(rng, time: np.ndarray) -> np.ndarray:
    return rng.uniform(*_STANDING) + 0.025 * np.sin(2 * np.pi * rng.uniform(2, 3.5) * time)


def _poses(forward, left, turn, height) -> np.ndarray:
    return np.stack([forward, left, turn, height], 1)


# class -> function (rng, number of frames, thing in sight) -> poses, float (frames, 4)
MOVES: dict[str, Callable] = {
    "walks forward": _straight(1, 0),
    "walks backward": _straight(-1, 0),
    "steps to the left": _straight(0, 1),
    "steps to the right": _straight(0, -1),
    "turns left": _turn(1),
    "turns right": _turn(-1),
    "looks around": _look_around,
    "crouches": _height(True),
    "stands up": _height(False),
    "circles a thing to the left": _circle(1),
    "circles a thing to the right": _circle(-1),
    "stops before a thing": _stop,
}
