"""Plans the clips: the scenes, two clips of each, and their captions."""

import numpy as np

from ivcore.data.annotations import SPLITS, Clip
from ivcore.data.bodies import look, motions
from ivcore.data.bodies.config import Bodies
from ivcore.data.bodies.models import BODIES

_SENTENCES = ("a {colour} {noun} {does}", "the {noun} {does}", "a thin {colour} thing {does}")


def clips(config: Bodies) -> list[Clip]:
    """All clips. Ten in a row show each class once; clips 2n and 2n + 1 of a split share a scene."""
    return [
        _clip(config, split, number, first + number // 2)
        for first, split in zip((0, 10**6, 2 * 10**6), SPLITS)
        for number in range(getattr(config, split))
    ]


def _clip(config: Bodies, split: str, number: int, scene: int) -> Clip:
    label = motions.CLASSES[number % len(motions.CLASSES)]
    colour, noun = scene_look(config, scene).colour, body_of(scene).noun
    sentences = tuple(s.format(colour=colour, noun=noun, does=label) for s in _SENTENCES)
    return Clip(f"{split}-{number:05d}", split, label, sentences, str(scene))


def body_of(scene: int):
    return BODIES[tuple(BODIES)[scene % len(BODIES)]]


def scene_look(config: Bodies, scene: int) -> look.Look:
    return look.draw(np.random.default_rng((config.seed, scene)))
