"""Questions about the embedded clips: open-ended ones with a closed set of answers, and multiple choice."""

from pathlib import Path

import numpy as np

from ivcore.data import formats
from ivcore.data.balanced import Candidate, write_questions
from ivcore.data.shapes import plan, scenes
from ivcore.data.shapes.config import Shapes

_STYLES = 5  # of captions, see Scene.caption
_CHOICE_STREAM = 4  # keeps these random choices apart from the ones that make the scenes


def _rng(video: plan.Video, stream: int) -> np.random.Generator:
    return np.random.default_rng((*video.shots[0].seed, stream))


def write_qa(config: Shapes, folder: Path) -> None:
    """Writes five kinds of questions: what moves, which way, how many and which colour for clips; what first for clips of two actions."""
    asked: dict[str, list[Candidate]] = {split: [] for split in ("train", "val", "test")}
    for video in (*plan.clips(config), *plan.two_action_clips(config)):
        place = video.id, str(folder / video.file)
        scenes_of = [shot.scene(config) for shot in video.shots]
        about = _about_order(*scenes_of) if len(scenes_of) > 1 else of_scene(scenes_of[0])
        asked[video.split] += [Candidate(kind, choice, *place, text, answer) for kind, choice, text, answer in about]
    write_questions(folder, asked, config.seed)


def _about_order(first: scenes.Scene, last: scenes.Scene) -> list[tuple[str, str, str, str]]:
    """(kind, choice, question, answer). Both answers are visible; only the order of frames tells which is right."""
    asked = {"first": first.objects[0].colour, "last": last.objects[0].colour}
    return [("what first", word, f"which one moves {word}", colour) for word, colour in asked.items()]


# action -> (question about its direction, answer)
_WAYS = {
    "slide left": ("which way does it go", "left"),
    "slide right": ("which way does it go", "right"),
    "rise": ("which way does it go", "up"),
    "fall": ("which way does it go", "down"),
    "turn clockwise": ("which way does it turn", "clockwise"),
    "turn counter-clockwise": ("which way does it turn", "counter-clockwise"),
    "orbit clockwise": ("which way does it go round", "clockwise"),
    "orbit counter-clockwise": ("which way does it go round", "counter-clockwise"),
    "move apart": ("which way do they go", "apart"),
    "approach": ("which way do they go", "together"),
    "grow": ("does it grow or shrink", "grow"),
    "shrink": ("does it grow or shrink", "shrink"),
}
_MOVER = {"cover": 1, "uncover": 1, "orbit clockwise": 0, "orbit counter-clockwise": 0}  # which of two things moves


def of_scene(scene: scenes.Scene) -> list[tuple[str, str, str, str]]:
    """(kind, choice, question, answer). No two things have the same colour, but they may have the same shape."""
    things = scene.objects
    asked = [("how many", "", "how many things are there", ("one", "two", "three")[len(things) - 1])]
    if scene.action in _MOVER:
        asked.append(("what moves", "", "which one moves", things[_MOVER[scene.action]].colour))
    if scene.action in _WAYS:
        asked.append(("which way", _WAYS[scene.action][0], *_WAYS[scene.action]))
    shapes = [thing.shape for thing in things]
    colours = [(f"what colour is the {thing.shape}", thing.colour) for thing in things if shapes.count(thing.shape) == 1]  # fmt: skip
    return asked + [("which colour", "", question, colour) for question, colour in colours]


def write_choice(config: Shapes, folder: Path) -> None:
    """Writes five captions a clip: its own and the reversed one, those of another scene, and one more.

    The options hold two pairs of reversals, so being in a pair does not give the right one away.
    """
    for split in ("val", "test"):
        choices = [_choice(config, folder, video) for video in plan.clips(config, split)]
        formats.write_choice_jsonl(folder / f"choice_{split}.jsonl", choices)


def _choice(config: Shapes, folder: Path, video: plan.Video) -> formats.Choice:
    rng, scene = _rng(video, _CHOICE_STREAM), video.shots[0].scene(config)
    style = int(rng.integers(_STYLES))
    options = [scene.caption(style), scene.reversed().caption(style)]
    while len(options := list(dict.fromkeys(options))[:5]) < 5:
        other = _other_scene(config, scene.action, rng)
        options += [other.caption(style), other.reversed().caption(style)]
    order = rng.permutation(5)
    answer = int(np.flatnonzero(order == 0)[0])
    return formats.Choice(video.id, str(folder / video.file), tuple(options[i] for i in order), answer)


def _other_scene(config: Shapes, action: str, rng) -> scenes.Scene:
    """A scene of another kind of action: one of the classes, or any action if the classes are a single pair."""
    kinds = [a for a in config.actions if plan.forward(a) != plan.forward(action)]
    kinds = kinds or [a for a in scenes.ACTIONS if plan.forward(a) != plan.forward(action)]
    kind = str(rng.choice(kinds))
    return scenes.make_scene(int(rng.integers(2**31)), kind, shapes=plan.allowed_shapes(kind))
