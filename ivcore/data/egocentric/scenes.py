"""What happens in a scene: where the things, the hands and the camera are in every frame. Nothing is painted here.

Places are in widths of the picture, x to the right and y down, on the table; what the camera sees of them is `Scene.seen`. Before a hand reaches for a
thing the camera turns to it, and the hand takes the shape that the verb needs, so that who has seen enough can tell what comes next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

NOUNS = ("ball", "bottle", "cup", "plate", "stick")
VERBS = ("push", "pull", "take", "rub", "switch on", "switch off")
STILL = ("rub",)  # verbs that leave a thing as it was
COLOURS = {"red": (0.84, 0.15, 0.15), "yellow": (0.93, 0.82, 0.2), "green": (0.15, 0.6, 0.3), "blue": (0.2, 0.35, 0.85), "white": (0.93, 0.93, 0.93)}  # fmt: skip
REST = ((0.22, 1.12), (0.78, 1.12))  # of the left and the right hand
RADIUS = {"ball": 0.085, "bottle": 0.11, "cup": 0.095, "plate": 0.12, "stick": 0.12}
PUSHED = 0.22


@dataclass
class Thing:
    """place (T, 2); size (T,), a factor; lit and there (T,), from 0 to 1."""

    noun: str
    colour: str
    place: np.ndarray
    size: np.ndarray
    lit: np.ndarray
    there: np.ndarray
    turn: float

    @property
    def words(self) -> str:
        return f"{self.colour} {self.noun}"


@dataclass(frozen=True)
class Act:
    """Frames: the hand (0 left, 1 right) sets out at `start`, touches the thing at `contact` and is done at `end`."""

    verb: str
    thing: int
    hand: int
    start: int
    contact: int
    end: int


@dataclass
class Scene:
    """hands (2, T, 2) on the table; shapes (2, T), numbers of VERBS; camera (T, 2): the middle of the picture."""

    things: list[Thing]
    hands: np.ndarray
    shapes: np.ndarray
    camera: np.ndarray
    ground: dict = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)

    def seen(self, places: np.ndarray) -> np.ndarray:
        """Places (..., T, 2) on the table -> where they are in the picture, in shares of it."""
        return places - self.camera + 0.5

    def box(self, thing: int, frame: int) -> np.ndarray | None:
        """x1, y1, x2, y2 in shares of the picture; None where less than half of the thing is in it."""
        each = self.things[thing]
        middle, reach = self.seen(each.place)[frame], RADIUS[each.noun] * each.size[frame]
        whole = np.concatenate([middle - reach, middle + reach])
        box = whole.clip(0, 1)
        share = np.prod(box[2:] - box[:2]) / np.prod(whole[2:] - whole[:2])
        return box if each.there[frame] and share >= 0.5 else None

    def hand(self, which: int, frame: int) -> np.ndarray | None:
        """x, y in shares of the picture; None where the palm is outside of it."""
        place = self.seen(self.hands[which])[frame]
        return place if (place >= 0).all() and (place <= 1).all() else None


def draw(rng: np.random.Generator, frames: int, fps: int) -> Scene:
    """A scene of `frames` frames. No two things have the same words, and no two acts the same verb and thing."""
    scene = _still(rng, frames, fps)
    now = int(rng.integers(fps // 2, fps + 1))
    while (act := _next(scene, rng, now, fps)).end + fps < frames:
        _play(scene, act, rng, fps)
        now = act.end + int(rng.integers(fps // 2, 3 * fps // 2))
    _look(scene, rng, fps)
    return scene


def _still(rng, frames: int, fps: int) -> Scene:
    words = [(noun, colour) for noun in NOUNS for colour in COLOURS]
    spots = [(x, y) for x in (0.24, 0.5, 0.76) for y in (0.28, 0.58)]
    count = int(rng.integers(3, 6))
    things = []
    for word, spot in zip(rng.permutation(len(words))[:count], rng.permutation(len(spots))):
        noun, colour = words[word]
        place = np.tile(np.array(spots[spot]) + rng.uniform(-0.05, 0.05, 2), (frames, 1))
        lit = np.full(frames, float(rng.random() < 0.5))
        turn = float(rng.uniform(-0.5, 0.5))
        things.append(Thing(noun, colour, place, np.ones(frames), lit, np.ones(frames), turn))
    time = np.arange(frames) / fps
    sway = 0.05 * np.sin(2 * np.pi * rng.uniform(0.1, 0.3, (2, 1, 2)) * time[:, None] + rng.uniform(0, 6, (2, 1, 2)))
    ground = {
        "colour": rng.uniform(0.25, 0.6, 3), "waves": rng.uniform(-9, 9, (3, 2)), "phases": rng.uniform(0, 6, 3),
        "skin": np.array([0.93, 0.72, 0.58]) * rng.uniform(0.5, 1.0), "sleeve": rng.uniform(0.1, 0.8, 3),
    }  # fmt: skip
    hands = np.array(REST)[:, None] + sway
    return Scene(things, hands, np.zeros((2, frames), int), np.full((frames, 2), 0.5), ground)


def _next(scene: Scene, rng, now: int, fps: int) -> Act:
    """What comes next. A thing is pushed while it is near, pulled while it is far, and taken once."""
    last = min(now, len(scene.camera) - 1)
    done = {(act.verb, act.thing) for act in scene.acts}
    possible = []
    for number, thing in enumerate(scene.things):
        y, lit = thing.place[last, 1], thing.lit[last] > 0.5
        fits = {"push": y > 0.42, "pull": y < 0.46, "take": True, "rub": True, "switch on": not lit, "switch off": lit}
        possible += [(v, number) for v, ok in fits.items() if ok and thing.there[last] and (v, number) not in done]
    if sum(thing.there[last] for thing in scene.things) < 3:
        possible = [each for each in possible if each[0] != "take"] or possible
    verbs = sorted({verb for verb, _ in possible})
    verb = str(rng.choice(verbs))
    number = int(rng.choice([thing for each, thing in possible if each == verb]))
    side = int(scene.things[number].place[last, 0] > 0.5)
    hand = side if rng.random() < 0.8 else 1 - side
    contact = now + int(rng.integers(9 * fps // 4, 13 * fps // 4))
    return Act(verb, number, hand, now, contact, contact + int(rng.integers(5 * fps // 4, 2 * fps + 1)))


def _play(scene: Scene, act: Act, rng, fps: int) -> None:
    """Moves hand and thing through the act and the hand back to where it rests."""
    thing, hand = scene.things[act.thing], scene.hands[act.hand]
    rest, spot = hand.copy(), thing.place[act.contact].copy()
    reach = _eased(act.start, act.contact, len(hand))[:, None]
    share = _eased(act.contact, act.end, len(hand))
    moved = np.zeros_like(hand)
    if act.verb in ("push", "pull"):
        moved[:, 1] = share * PUSHED * (-1 if act.verb == "push" else 1)
        thing.place += moved
    elif act.verb == "take":
        moved = share[:, None] * (np.array(REST[act.hand]) + np.array([0, 0.1]) - spot)
        thing.place += moved
        thing.size *= 1 + 0.3 * share
        thing.there[act.end :] = 0
    elif act.verb == "rub":
        during = np.arange(len(hand)) - act.contact
        rubbing = (during >= 0) & (during < act.end - act.contact)
        moved[:, 0] = 0.09 * rubbing * np.sin(2 * np.pi * during / (0.75 * fps))
    else:
        thing.lit[(act.contact + act.end) // 2 :] = float(act.verb == "switch on")
    back = _eased(act.end, min(act.end + fps, len(hand) - 1), len(hand))[:, None]
    there = rest + reach * (spot - rest) + moved * (reach >= 1)
    hand[:] = there + back * (rest - there)
    scene.shapes[act.hand, act.start : act.end] = VERBS.index(act.verb)
    scene.acts.append(act)


def _eased(start: int, stop: int, frames: int) -> np.ndarray:
    """0 up to `start`, 1 from `stop` on, smooth between."""
    share = ((np.arange(frames) - start) / max(stop - start, 1)).clip(0, 1)
    return share * share * (3 - 2 * share)


def _look(scene: Scene, rng, fps: int) -> None:
    """The camera turns to the thing half a second before the hand sets out, and the head is never quite still."""
    frames = len(scene.camera)
    aim = np.full((frames, 2), 0.5)
    for act in scene.acts:
        aim[max(0, act.start - fps // 2) : act.end] = scene.things[act.thing].place[act.contact]
    wide = np.ones(fps + 1) / (fps + 1)
    smooth = np.stack([np.convolve(np.pad(c, fps // 2, "edge"), wide, "valid")[:frames] for c in aim.T], 1)
    time = np.arange(frames)[:, None] / fps
    shaking = 0.015 * np.sin(2 * np.pi * rng.uniform(0.4, 0.9, 2) * time + rng.uniform(0, 6, 2))
    scene.camera[:] = 0.5 + 0.35 * (smooth - 0.5) + shaking
