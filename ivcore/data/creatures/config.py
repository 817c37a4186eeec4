"""The number of clips, and what each of them shows.

A scene has two clips: an action and its time reversal, or two other actions of the same body in the same place.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ivcore.data import generated
from ivcore.data.annotations import SPLITS, Clip
from ivcore.data.creatures import actions, scenes
from ivcore.data.creatures.captions import captions
from ivcore.data.rendered import MINIMUMS

# Change it by hand whenever pixels change, and only then.
RENDERER_VERSION = "2"


@dataclass(frozen=True)
class Creatures:
    """Numbers of clips in each split; `size` pixels, even, `frames` at `fps`. A larger set begins with the clips of a smaller one.

    ParameterError for numbers that are not whole or are below their minimum.
    """

    train: int = 6000
    val: int = 600
    test: int = 600
    size: int = 80
    frames: int = 16
    fps: int = 8
    seed: int = 0

    def __post_init__(self):
        generated.require_whole(self, MINIMUMS)


def clips(config: Creatures) -> list[Clip]:
    """All clips: train, val, test."""
    return [_clip(config.seed, split, number) for split in SPLITS for number in range(getattr(config, split))]


def film(config: Creatures, todo: list[Clip]) -> Iterator[np.ndarray]:
    """Yields uint8 (frames, size, size, 3) for each clip."""
    for clip in todo:
        scene = _scene(config.seed, clip.split, int(clip.name.rpartition("-")[2]) // 2)
        yield scenes.render(scene, clip.label, config.frames, config.size)


def _clip(seed: int, split: str, number: int) -> Clip:
    place = number // 2
    scene, action = _scene(seed, split, place), _doings(seed, split, place)[number % 2]
    partner = actions.ACTIONS[action].partner
    backwards = captions(scene, partner) if partner else ()
    return Clip(f"{split}-{number:06d}", split, action, captions(scene, action), f"{split}-{place:06d}", backwards)


def _scene(seed: int, split: str, place: int) -> scenes.Scene:
    return scenes.make_scene((seed, SPLITS.index(split), place), _doings(seed, split, place))


def _doings(seed: int, split: str, place: int) -> tuple[str, str]:
    """The two actions of a scene. Every round of scenes shows each class once."""
    rounds, turn = divmod(place, len(actions.CLASSES) // 2)
    return _round(seed, split, rounds)[turn]


@functools.lru_cache(maxsize=64)
def _round(seed: int, split: str, number: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng((seed, SPLITS.index(split), number, 3))
    single = [name for name, action in actions.ACTIONS.items() if not action.partner]
    single = [single[k] for k in rng.permutation(len(single))]
    twos = [*actions.ORDER_PAIRS, *zip(single[::2], single[1::2])]
    return [twos[k] for k in rng.permutation(len(twos))]
