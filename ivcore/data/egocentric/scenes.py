"""Plans a scene: where the things, the hands and the camera are in every frame. Nothing is painted here.

Places are on the table, in picture widths, x to the right and y down; `Scene.seen` converts them to places in the picture.
A hand moves from one thing to the next along an ellipse, in either direction. On the way it already repeats the strokes of
the coming act, slowly to one side and quickly back, like pumping, pulling a ratchet or winding a cord. The head moves with
it. The verbs of a pair are each other's time reversal, and so are the two directions. So only the order of a second's frames
tells where the hand comes from, where it goes, and which of the two verbs it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

VERBS = ("fill", "empty", "tighten", "loosen", "wind", "unwind")  # three pairs: a verb and its reversal
DONE_TO = {"bottle": 0, "cup": 0, "bolt": 2, "lid": 2, "clock": 4, "reel": 4}  # noun -> number of its first verb
NOUNS = tuple(sorted(DONE_TO))
COLOURS = {"red": (0.84, 0.15, 0.15), "yellow": (0.93, 0.82, 0.2), "green": (0.15, 0.6, 0.3), "blue": (0.2, 0.35, 0.85), "white": (0.93, 0.93, 0.93)}  # fmt: skip
REST = ((0.22, 1.12), (0.78, 1.12))  # places of the left and the right hand
RADIUS = {"bottle": 0.15, "cup": 0.13, "bolt": 0.16, "lid": 0.16, "clock": 0.15, "reel": 0.12}
MIDDLE, BOW = np.array([0.5, 0.48]), np.array([0.28, 0.24])  # of the things' ellipse: centre, half axes
THINGS = 3
SWING = 0.16  # how far a hand, and the head with it, moves to either side of its path


@dataclass
class Thing:
    """place (T, 2): on the table. turn: the angle at which it lies, in radians."""

    noun: str
    colour: str
    place: np.ndarray
    turn: float

    @property
    def words(self) -> str:
        return f"{self.colour} {self.noun}"


@dataclass(frozen=True)
class Act:
    """Frames: the hand (0 left, 1 right) leaves at `start`, touches the thing at `contact` and finishes at `end`."""

    verb: str
    thing: int
    hand: int
    start: int
    contact: int
    end: int


@dataclass
class Scene:
    """hands (2, T, 2): places on the table. shapes (2, T): the kind of verbs that each hand is shaped for. camera (T, 2): middle of the picture."""

    things: list[Thing]
    hands: np.ndarray
    shapes: np.ndarray
    camera: np.ndarray
    ground: dict = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)

    def seen(self, places: np.ndarray) -> np.ndarray:
        """Converts places (..., T, 2) on the table to places in the picture, in shares of it."""
        return places - self.camera + 0.5

    def box(self, thing: int, frame: int) -> np.ndarray | None:
        """The thing's x1, y1, x2, y2 in shares of the picture; None if less than half of it is in the picture."""
        each = self.things[thing]
        middle, reach = self.seen(each.place)[frame], RADIUS[each.noun]
        whole = np.concatenate([middle - reach, middle + reach])
        box = whole.clip(0, 1)
        share = np.prod(box[2:] - box[:2]) / np.prod(whole[2:] - whole[:2])
        return box if share >= 0.5 else None

    def hand(self, which: int, frame: int) -> np.ndarray | None:
        """The palm's x, y in shares of the picture; None if it is outside."""
        place = self.seen(self.hands[which])[frame]
        return place if (place >= 0).all() and (place <= 1).all() else None


def draw(rng: np.random.Generator, frames: int, fps: int) -> Scene:
    """Draws a scene of `frames` frames. No two things have the same words. The next visit to a thing undoes the last act on it."""
    scene, angles = _still(rng, frames, fps)
    hand, at, now = int(rng.integers(2)), 0, int(rng.integers(fps // 4, fps))
    way, swings, undone = np.full(frames, angles[0]), np.zeros((frames, 2)), {}
    while True:
        step = int(rng.choice([-1, 1]))
        there = (at + step) % THINGS
        contact = now + int(rng.integers(4 * fps, 5 * fps + 1))
        end = contact + int(rng.integers(2 * fps, 5 * fps // 2 + 1))
        if end + fps > frames:
            break
        first = DONE_TO[scene.things[there].noun]
        number = undone.get(there, first + int(rng.integers(2)))
        undone[there] = first + (number == first)
        act = Act(VERBS[number], there, hand, now, contact, end)
        turned = (angles[there] - angles[at]) * step % (2 * np.pi) * step
        way += turned * ((np.arange(frames) - now) / (contact - now)).clip(0, 1)
        swing = swung(act.verb, rng.random() + np.arange(frames) / (fps * rng.uniform(1.75, 2.25)))
        swings += swing * _held(now, end, frames, fps)[:, None]
        scene.things[there].place += swing * _held(contact, end, frames, fps)[:, None]
        scene.shapes[hand, now:end] = first
        scene.acts.append(act)
        at, now = there, end
    scene.hands[hand] = _on_bow(way) + swings
    _look(scene, _on_bow(way), swings, rng, fps)
    return scene


def swung(verb: str, turns: np.ndarray) -> np.ndarray:
    """A hand's offset (T, 2) from its path after `turns` (T,) strokes of the verb. A verb's partner has the same offsets backwards."""
    number = VERBS.index(verb)
    there = (-turns if number % 2 else turns) % 1
    stroke = np.where(there < 0.875, there / 0.875, (1 - there) / 0.125) * 2 - 1
    return SWING * stroke[:, None] * np.array([(0, 1), (1, 0), (1, 1)][number // 2])


def _on_bow(angles: np.ndarray) -> np.ndarray:
    return MIDDLE + BOW * np.stack([np.cos(angles), np.sin(angles)], -1)


def _still(rng, frames: int, fps: int) -> tuple[Scene, np.ndarray]:
    """A scene with things and resting hands, and the angles of the things on the ellipse."""
    words = [(noun, colour) for noun in NOUNS for colour in COLOURS]
    angles = 2 * np.pi * (rng.random() + (np.arange(THINGS) + rng.uniform(-0.12, 0.12, THINGS)) / THINGS)
    things = []
    for word, angle in zip(rng.permutation(len(words)), angles):
        things.append(Thing(*words[word], np.tile(_on_bow(angle), (frames, 1)), float(rng.uniform(-0.5, 0.5))))
    time = np.arange(frames) / fps
    sway = 0.05 * np.sin(2 * np.pi * rng.uniform(0.1, 0.3, (2, 1, 2)) * time[:, None] + rng.uniform(0, 6, (2, 1, 2)))
    ground = {
        "colour": rng.uniform(0.25, 0.6, 3), "waves": rng.uniform(-9, 9, (3, 2)), "phases": rng.uniform(0, 6, 3),
        "skin": np.array([0.93, 0.72, 0.58]) * rng.uniform(0.5, 1.0), "sleeve": rng.uniform(0.1, 0.8, 3),
    }  # fmt: skip
    hands = np.array(REST)[:, None] + sway
    return Scene(things, hands, np.zeros((2, frames), int), np.full((frames, 2), 0.5), ground), angles


def _held(start: int, end: int, frames: int, fps: int) -> np.ndarray:
    """(frames,): 1 from `start` to `end`, with a ramp of a quarter of a second at both ends; symmetric in time."""
    place = np.arange(frames)
    return (np.minimum(place - start, end - place) / (fps / 4)).clip(0, 1)


def _look(scene: Scene, way: np.ndarray, swings: np.ndarray, rng, fps: int) -> None:
    """The head moves with the hand, smoothed symmetrically in time, and is never quite still."""
    frames = len(scene.camera)
    wide = np.ones(fps + 1) / (fps + 1)
    smooth = np.stack([np.convolve(np.pad(c, fps // 2, "edge"), wide, "valid")[:frames] for c in way.T], 1)
    time = np.arange(frames)[:, None] / fps
    shaking = 0.015 * np.sin(2 * np.pi * rng.uniform(0.4, 0.9, 2) * time + rng.uniform(0, 6, 2))
    scene.camera[:] = 0.5 + 0.25 * (smooth - MIDDLE) + swings + shaking
