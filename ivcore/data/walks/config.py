"""First-person walks: the camera walks, turns, crouches or circles a thing, in rooms, halls, yards and streets of MiniWorld.

The class is what the camera does. Textures, light, sky, lens and things are drawn for each clip, so each clip has its own scene and no
scene is in two splits. Needs the extra `sim` and GL libraries that draw without a screen: `make sim`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ivcore.data import generated, rendered
from ivcore.data.annotations import SPLITS, Clip
from ivcore.data.walks import scenes, world
from ivcore.data.walks.moves import MOVES

CLASSES = tuple(MOVES)
RENDERER_VERSION = "1"
_DOES = {
    "walks forward": "walks forward",
    "walks backward": "walks backward",
    "steps to the left": "steps sideways to the left",
    "steps to the right": "steps sideways to the right",
    "turns left": "turns to the left",
    "turns right": "turns to the right",
    "looks around": "looks around to both sides",
    "crouches": "bends down to the floor",
    "stands up": "rises from the floor",
    "circles a thing to the left": "circles {} to the left",
    "circles a thing to the right": "circles {} to the right",
    "stops before a thing": "walks up to {} and stops",
}


@dataclass(frozen=True)
class Walks:
    """Numbers of clips, of `size` x `size` pixels and `frames` frames at `fps`. A movement takes the whole clip, however many frames it has."""

    train: int = 1800
    val: int = 240
    test: int = 240
    size: int = 80
    frames: int = 16
    fps: int = 8
    seed: int = 0

    def __post_init__(self):
        generated.require_whole(self, rendered.MINIMUMS)


def clips(config: Walks) -> list[Clip]:
    """All clips; classes take turns."""
    return [_clip(config, split, number) for split in SPLITS for number in range(getattr(config, split))]


def film(config: Walks, todo: Sequence[Clip]) -> Iterator[np.ndarray]:
    """Yields uint8 (frames, size, size, 3) for each clip. UserError if MiniWorld is not installed."""
    world.require_simulator()
    for clip in todo:
        split, number = clip.name.split("-")
        yield world.render(_scene(config, split, int(number)), config.size)


def _scene(config: Walks, split: str, number: int) -> scenes.Scene:
    rng = np.random.default_rng([config.seed, SPLITS.index(split), number])
    return scenes.draw(CLASSES[number % len(CLASSES)], rng, config.frames)


def _clip(config: Walks, split: str, number: int) -> Clip:
    name, label = f"{split}-{number:05d}", CLASSES[number % len(CLASSES)]
    return Clip(name, split, label, _captions(label, _scene(config, split, number)), name)


def _captions(label: str, scene: scenes.Scene) -> tuple[str, ...]:
    hero, place = scene.things[0], scenes.PLACES[scene.place].words
    does = _DOES[label].format(hero.words)
    beside = "" if hero.words in does else f" near {hero.words}"
    seen = [thing.words for thing in scene.things[1:] if scenes.in_sight(scene, thing)]
    more = f" and {seen[0]}" if seen and seen[0] != hero.words else ""
    return (
        f"somebody {does}{beside} in {place}",
        f"the camera {does} in {place}",
        f"{hero.words}{more} can be seen in {place}",
    )
