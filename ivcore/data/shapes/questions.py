"""Questions about the embedded clips: open-ended ones with a closed set of answers, and multiple choice."""

from pathlib import Path

import numpy as np

from ivcore.data import formats
from ivcore.data.shapes import plan, scenes
from ivcore.data.shapes.config import Shapes

_STYLES = 5  # of captions, see Scene.caption
_QA_STREAM, _CHOICE_STREAM = 3, 4  # keep these random choices apart from the ones that make the scenes


def _rng(video: plan.Video, stream: int) -> np.random.Generator:
    return np.random.default_rng((*video.shots[0].seed, stream))


def write_qa(config: Shapes, folder: Path) -> None:
    """For every clip a question about what happens, which only the order of frames answers, and two about how things look."""
    questions = {split: [] for split in ("train", "val", "test")}
    for video in plan.clips(config):
        scene = video.shots[0].scene(config)
        looks = _about_looks(scene)
        chosen = _rng(video, _QA_STREAM).choice(len(looks), min(2, len(looks)), replace=False)
        for question, answer in [_about_action(scene), *(looks[i] for i in chosen)]:
            questions[video.split].append(formats.Question(video.id, str(folder / video.file), question, answer))
    for split, listed in questions.items():
        formats.write_qa(folder / f"qa_{split}.jsonl", listed)
    answers = sorted({question.answer for question in questions["train"]})
    formats.write_ans2label(folder / "train_ans2label.json", {a: label for label, a in enumerate(answers)})


def _about_action(scene: scenes.Scene) -> tuple[str, str]:
    if len(scene.objects) == 1:
        return f"what does the {scene.objects[0].colour} thing do", scene.action
    return "what happens", scene.action


def _about_looks(scene: scenes.Scene) -> list[tuple[str, str]]:
    """No two things have the same colour, but they may have the same shape."""
    things = scene.objects
    number = ("one", "two", "three")[len(things) - 1]
    pairs = [("how many things are there", number)]
    pairs += [(f"what shape is the {thing.colour} thing", thing.shape) for thing in things]
    all_shapes = [thing.shape for thing in things]
    pairs += [(f"what colour is the {t.shape}", t.colour) for t in things if all_shapes.count(t.shape) == 1]
    return pairs


def write_choice(config: Shapes, folder: Path) -> None:
    """Five captions a clip: its own and the reversed one, those of another clip, and one more.

    There are two reversals among the options, so that pairs of options do not give the right one away.
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
