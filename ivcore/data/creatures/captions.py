"""Describes a clip in simple English sentences."""

import numpy as np

from ivcore.data.creatures.actions import ACTIONS
from ivcore.data.creatures.scenes import Scene

_GROUNDS = {
    "plain": "in front of a plain ground",
    "shaded": "in front of a smoothly shaded ground",
    "cloudy": "in front of a cloudy ground",
    "striped": "in front of a striped ground",
    "checkered": "in front of a checkered ground",
    "spotted": "in front of a spotted ground",
    "tiled": "in front of a tiled ground",
    "flat": "on a flat floor",
    "hilly": "in front of hills",
    "cluttered": "in front of a cluttered ground",
    "rough": "in front of a rough ground",
}
_CAMERAS = {"still": "while the camera is still", "pans": "while the camera pans", "zooms": "while the camera zooms",
            "shakes": "while the camera shakes"}  # fmt: skip
_NUMBERS = ("", "one", "two", "three", "four")
_PLURALS = {
    "person": "people", "fish": "fish", "octopus": "octopuses", "jellyfish": "jellyfish", "ostrich": "ostriches",
    "butterfly": "butterflies", "bunch of balls": "bunches of balls", "pair of scissors": "pairs of scissors",
    "pair of tongs": "pairs of tongs",
}  # fmt: skip


def captions(scene: Scene, action: str) -> tuple[str, ...]:
    """Four sentences, the most detailed first."""
    name, look, kind = scene.body.name, scene.look, ACTIONS[action]
    lean = np.linalg.norm(scene.ground.colours.mean(0)) / 3**0.5
    ground = _GROUNDS[scene.ground.kind].replace(
        " a ", " a bright " if lean > 0.62 else " a dark " if lean < 0.35 else " a "
    )
    if scene.count > 1:
        who, does = _PLURALS.get(name, name + "s"), kind.many
        named = f"{_NUMBERS[scene.count]} {look.name} {who}"
        full = f"{_NUMBERS[scene.count]} {look.build} {look.name} {who}".replace("  ", " ")
        short = f"{_NUMBERS[scene.count]} {who}"
    else:
        who, does = name, kind.one
        named, full, short = (
            _a(words) for words in (f"{look.name} {who}", f"{look.build} {look.name} {who}".strip(), who)
        )
    return (f"{full} {does} {ground}", f"{full} {does} {_CAMERAS[scene.camera]}", f"{named} {does}", f"{short} {does}")


def _a(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
