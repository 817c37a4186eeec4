"""The ten motions of the bodies. They differ in how the parts and the whole body move over time; any body can do them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Course:
    """A motion of T frames and P parts. Lengths are in body sizes, angles in radians.

    swing (T, P): angle of each hinge from its rest. rest (P,): where each hinge rests, -1 to 1 of its range. tilt (T,): 0 stands, a quarter
    turn lies; None for the natural attitude. turn (T,): about the vertical; at 0 the body shows its side. place (T, 2): to the right in
    the picture, and away from the camera. lift (T,): height above the ground.
    """

    swing: np.ndarray
    rest: np.ndarray
    tilt: np.ndarray | None
    turn: np.ndarray
    place: np.ndarray
    lift: np.ndarray


def draw(label: str, parts: int, seconds: np.ndarray, rng: np.random.Generator) -> Course:
    """Draws a motion of this class for frames at `seconds` (T,). KeyError for an unknown class."""
    course = _still(parts, seconds, rng)
    return _MOTIONS[label](course, seconds, rng)


def _still(parts: int, seconds: np.ndarray, rng: np.random.Generator) -> Course:
    """A body that almost rests: in its natural attitude or tilted, at a random place, drifting a little."""
    start, drift = rng.uniform(-0.3, 0.3, 2), rng.uniform(-0.06, 0.06, 2)
    tilted = rng.random() < 0.3
    zeros = np.zeros(len(seconds))
    return Course(
        swing=np.zeros((len(seconds), parts)),
        rest=rng.uniform(-1, 1, parts),
        tilt=zeros + rng.uniform(np.pi / 6, np.pi / 2) if tilted else None,
        turn=rng.choice([0, np.pi]) + rng.uniform(-1, 1) + rng.uniform(-0.1, 0.1) * seconds,
        place=start + drift * seconds[:, None],
        lift=zeros,
    )


def _with(course: Course, **changed) -> Course:
    return Course(**{**vars(course), **changed})


def _waves(phases: np.ndarray, seconds: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """(T, P): each part swings as a sine with its own phase; all have the same period."""
    angle = 2 * np.pi * seconds / rng.uniform(0.7, 1.5) + rng.uniform(0, 2 * np.pi)
    return amplitude * rng.uniform(0.85, 1.15, len(phases)) * np.sin(angle[:, None] + phases)


def _swings(lag: float) -> Callable:
    """Parts swing; each follows the one before it by `lag` radians."""

    def move(course: Course, seconds: np.ndarray, rng: np.random.Generator) -> Course:
        chosen = _chosen(course.swing.shape[1], rng)
        phases = lag * np.arange(len(chosen)) * rng.choice([-1, 1])
        swing = course.swing.copy()
        swing[:, chosen] = _waves(phases, seconds, rng.uniform(0.4, 0.8), rng)
        return _with(course, swing=swing)

    return move


def _chosen(parts: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of all parts or of most of them, at least two, in order."""
    least = max(2, parts // 2 + 1)
    count = parts if rng.random() < 0.5 else int(rng.integers(min(least, parts), parts + 1))
    return np.sort(rng.permutation(parts)[:count])


def _twitch(course: Course, seconds: np.ndarray, rng: np.random.Generator) -> Course:
    """One part jerks a few times. It is one of the first half, which carry the others and are most visible."""
    part = int(rng.integers((course.swing.shape[1] + 1) // 2))
    jerks, width = np.zeros(len(seconds)), rng.uniform(0.35, 0.5)
    at = seconds[0] + rng.uniform(0, 0.3)
    while at + width / 2 < seconds[-1]:
        jerks += np.where(np.abs(seconds - at - width / 2) < width / 2, np.sin(np.pi * (seconds - at) / width) ** 2, 0)
        at += width + rng.uniform(0.15, 0.5)
    swing = course.swing.copy()
    swing[:, part] = jerks * rng.uniform(0.7, 1.2) * rng.choice([-1, 1])
    return _with(course, swing=swing)


def _fidgeting(move: Callable) -> Callable:
    """The whole body moves. In half of the clips its parts also swing a little, with random phases."""

    def fidget(course: Course, seconds: np.ndarray, rng: np.random.Generator) -> Course:
        if rng.random() < 0.5:
            phases = rng.uniform(0, 2 * np.pi, course.swing.shape[1])
            course = _with(course, swing=_waves(phases, seconds, rng.uniform(0.05, 0.25), rng))
        return move(course, seconds, rng)

    return fidget


def _jump(course: Course, seconds: np.ndarray, rng: np.random.Generator) -> Course:
    period, air = rng.uniform(0.65, 1.2), rng.uniform(0.6, 0.85)
    flown = ((seconds / period + rng.random()) % 1) / air
    return _with(course, lift=rng.uniform(0.3, 0.6) * np.clip(4 * flown * (1 - flown), 0, None))


def _fall(course: Course, seconds: np.ndarray, rng: np.random.Generator) -> Course:
    """From standing to lying, faster and faster."""
    length = seconds[-1] - seconds[0]
    start, duration = rng.uniform(0.05, 0.3) * length, rng.uniform(0.3, 0.55) * length
    gone = np.clip((seconds - seconds[0] - start) / duration, 0, 1)
    side = rng.choice([-1, 1])
    return _with(course, tilt=side * (rng.uniform(0, 0.1) + (rng.uniform(1.35, np.pi / 2) - 0.1) * gone**2))


def _get_up(course: Course, seconds: np.ndarray, rng: np.random.Generator) -> Course:
    """A fall played backwards."""
    fall = _fall(course, seconds, rng)
    return _with(fall, tilt=fall.tilt[::-1])


def _turn(course: Course, seconds: np.ndarray, rng: np.random.Generator) -> Course:
    speed = rng.uniform(1.2, 3.0) * rng.choice([-1, 1])
    return _with(course, turn=course.turn[0] + speed * seconds)


def _travel(direction: int) -> Callable:
    def move(course: Course, seconds: np.ndarray, rng: np.random.Generator) -> Course:
        gone = (seconds - seconds[0]) / (seconds[-1] - seconds[0])
        start, stop = rng.uniform(0, 0.2), rng.uniform(0.8, 1)
        gone = np.clip((gone - start) / (stop - start), 0, 1)
        way, off = rng.uniform(0.7, 1.2), rng.uniform(-0.15, 0.15)
        across = off + direction * way * (gone - 0.5)
        along = course.place[0, 1] + rng.uniform(-0.3, 0.3) * way * (gone - 0.5)
        return _with(course, place=np.stack([across, along], -1))

    return move


_MOTIONS: dict[str, Callable] = {
    "swings in step": _swings(0),
    "swings in turns": _swings(np.pi),
    "sends a wave through its parts": _swings(np.pi / 2),
    "twitches with one part": _twitch,
    "jumps": _fidgeting(_jump),
    "turns around": _fidgeting(_turn),
    "falls over": _fidgeting(_fall),
    "gets up": _fidgeting(_get_up),
    "travels left": _fidgeting(_travel(-1)),
    "travels right": _fidgeting(_travel(1)),
}
CLASSES = tuple(_MOTIONS)
