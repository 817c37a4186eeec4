"""The first picture of a notebook: illustrates its question with drawn scenes, before any video is rendered or network
imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ivcore.data import egocentric, shapes
from ivcore.data.shapes import questions, scenes, timelines
from ivcore.errors import ParameterError, shown

SEED, SIZE = 2, 64
PAIR = "move apart", "approach"  # an action and its reversal
ORDER = "The frames of both rows are the same. Only their order tells"
TURNED = "Two film strips of the same frames, the lower one reversed; on the left of each"


@dataclass(frozen=True)
class Look:
    """A picture: the function that draws it, its caption of one sentence, and its alt text."""

    draw: Callable
    caption: str
    alt: str


def first_look(run, about: str) -> None:
    """Shows the picture `about` of LOOKS with its caption, and saves it with the figures of the run. ParameterError for
    an unknown name.
    """
    if about not in LOOKS:
        raise ParameterError(f"about = {shown(about)}: must be one of {', '.join(LOOKS)}")
    look = LOOKS[about]
    run.figure(look.draw(), "first_look", caption=look.caption, alt=look.alt)
    print(look.caption)


def actions():
    return _both_ways([scene.action for scene in _scenes()])


def sentences():
    return _both_ways([scene.caption() for scene in _scenes()])


def asked():
    found = [each for scene in _scenes() for each in questions.of_scene(scene) if each[0] == "which way"]
    return _both_ways([f"{question}? {answer}" for _, _, question, answer in found])


def _scenes() -> list[scenes.Scene]:
    return [scenes.make_scene(SEED, action) for action in PAIR]


def _both_ways(names: Sequence[str]):
    from ivcore.show.clips import clip_grid

    return clip_grid([scenes.render(scene, SIZE) for scene in _scenes()], names)


def masks():
    import torch

    from ivcore.masking import MASKS
    from ivcore.show.masks import mask_film_strip

    clip, grid = scenes.render(_scenes()[0], SIZE), (8, 8, 8)
    seed = torch.Generator().manual_seed
    drawn = {f"{name} 75 %": MASKS[name](1, grid, 0.75, seed(SEED))[0] for name in ("tube", "random", "frame")}
    return mask_film_strip(clip, drawn, grid)


def segments():
    from ivcore.show.clips import clip_grid

    config, video = _untrimmed()
    done, frames = timelines.untrimmed(config, config.folder, video).segments, shapes.film(config, video)
    names = [f"{each.start:.1f} to {each.end:.1f} s: {each.label}" for each in done]
    return clip_grid([frames[round(each.start * config.fps) : round(each.end * config.fps)] for each in done], names)


def boxes():
    from ivcore.show.boxes import boxes_on_keyframes

    config, video = _untrimmed(2)  # the first video with both acting and resting things in four frames
    names, frames, found = [*config.actions, "rest"], shapes.film(config, video), {}
    for box in timelines.boxes(config, video, names):
        found.setdefault(box.timestamp, []).append((box.box, names[box.action - 1]))
    busy = [second for second, each in found.items() if len({name == "rest" for _, name in each}) == 2]
    chosen = busy[:: max(1, len(busy) // 4)][:4]
    pictures = [frames[round(second * config.fps)] for second in chosen]
    return boxes_on_keyframes(pictures, [found[second] for second in chosen], [[]] * len(chosen))


def _untrimmed(number: int = 1):
    config = shapes.Shapes(untrimmed=number)
    return config, shapes.untrimmed_videos(config)[-1]


def first_person():
    from ivcore.data.egocentric import painting
    from ivcore.show.clips import film_strip

    config, scene, act = _act_done_once()
    places = np.linspace(act.start, act.end, 16).round().astype(int)
    captions = [f"{(place - act.contact) / config.fps:+.1f} s" for place in places]
    title = f"{act.verb} the {scene.things[act.thing].words}; seconds from the touch"
    return film_strip(painting.render(scene, config.size)[places], captions=captions, title=title)


def query():
    from ivcore.data.egocentric import painting
    from ivcore.show.clips import film_strip

    config, scene, act = _act_done_once()
    places = np.linspace(0, config.frames - 1, 16).round().astype(int)
    answer = (places >= act.contact - config.fps // 2) & (places <= act.end + config.fps // 2)
    captions = [f"{place / config.fps:.1f} s{' ✓' * bool(inside)}" for place, inside in zip(places, answer)]
    clip = painting.render(scene, config.size)[places]
    return film_strip(clip, captions=captions, title=f"When did I {act.verb} something?")


def _act_done_once() -> tuple:
    """A short training scene, and an act in it whose verb occurs once."""
    config = egocentric.Egocentric(frames=160)
    scene = config.scene("train", "train-0000")
    done = [act.verb for act in scene.acts]
    return config, scene, next(act for act in scene.acts if done.count(act.verb) == 1)


def rooms():
    from ivcore.data.navigation.episodes import World
    from ivcore.data.navigation.plans import plan_named
    from ivcore.show.floor_plans import floor_plan

    ways = World(test=2).episodes("test")
    shortest = [{"shortest path": way.reference} for way in ways]
    return floor_plan([plan_named(way.scene) for way in ways], shortest, [way.instruction for way in ways])


LOOKS = {
    "actions": Look(actions, f"{ORDER} which action it is.", f"{TURNED} the name of its action."),
    "sentences": Look(sentences, f"{ORDER} which sentence is true.", f"{TURNED} its sentence."),
    "questions": Look(asked, f"{ORDER} which answer is right.", f"{TURNED} the same question and another answer."),
    "masks": Look(
        masks,
        "Each mask hides three quarters. Only a tube mask prevents copying still parts from another frame.",
        "Four film strips: a clip, and its visible parts under a tube mask, a random mask and a mask of frames.",
    ),
    "segments": Look(
        segments,
        "These actions follow each other in one video. Nothing happens between them.",
        "A row of frames for each action in a video, with its seconds and its name on the left.",
    ),
    "boxes": Look(
        boxes,
        "In one frame some things act and others rest, so each answer needs a box.",
        "Four frames with boxes around the things in them, and the action of each.",
    ),
    "first person": Look(
        first_person,
        "A hand moves to a thing, touches it and acts on it. The camera moves with the head.",
        "Sixteen frames of a table with things on it, seen from above. A hand comes to one of them and moves over it.",
    ),
    "query": Look(
        query,
        "A hand does one thing after another. The ticked seconds are the answer.",
        "Sixteen frames of a table with things on it, seen from above, with their seconds. Some consecutive frames are ticked.",
    ),
    "rooms": Look(
        rooms,
        "The agent gets the instruction; it has never seen the rooms.",
        "Two floor plans of nine rooms with coloured doors and things, a path from start to goal, and the instruction above.",
    ),
}
