"""Writes annotations of the embedded clips in the formats of real datasets, one function for each part.

They are computed from a clip's scene, which is rebuilt from its seed; the video files are not read.
"""

from dataclasses import replace
from pathlib import Path

from ivcore.data import annotations, formats
from ivcore.data.annotations import Clip
from ivcore.data.shapes import plan, questions, scenes, timelines
from ivcore.data.shapes.config import Shapes

# The version of the annotations; a new one writes them again. See RENDERER_VERSION in `config`.
ANNOTATOR_VERSION = "4ba8244e9f0bf563a00da1a1591413e146079990d0620310b6c2cc1bd19b4c4f"
_TEMPLATES = 3  # templates of the full sentence; two shorter sentences follow


def write(part: str, config: Shapes, folder: Path) -> None:
    """Writes the annotation files of one part into the dataset's folder."""
    _PARTS[part](config, folder)


def labelled(folder: Path, video: plan.Video, classes) -> formats.LabelledVideo:
    return formats.LabelledVideo(str(folder / video.file), classes.index(video.action))


def write_groups(config: Shapes, folder: Path, root: Path) -> None:
    """Writes groups.csv in `folder`: which clips of the dataset in `root` show the same scene."""
    annotations.write_groups(folder, [(video.file, scene) for video, scene in plan.groups(config)], root)


def _clip(video: plan.Video, captions: tuple[str, ...] = ()) -> Clip:
    return Clip(video.id, video.split, video.action, captions, "")


def _clips(config: Shapes, folder: Path) -> None:
    write_groups(config, folder, folder)
    annotations.write_labels(folder, [_clip(video) for video in plan.clips(config)], config.actions)


def _further_test(config: Shapes, folder: Path) -> None:
    write_groups(config, folder, folder)
    videos = [labelled(folder, video, config.actions) for video in plan.further_clips(config)]
    formats.write_kinetics_csv(folder / "further_test.csv", videos)


def _zero_shot(config: Shapes, folder: Path) -> None:
    """The classes are all pairs of a shape and an action, "a star slides to the left"; the clips show only held-out pairs."""
    pairs = [(shape, action) for shape in scenes.SHAPES for action in config.actions]
    names = [scenes.ACTIONS[action].phrase.format(f"a {shape}", "something") for shape, action in pairs]
    formats.write_class_names(folder / "zero_shot_classes.txt", names)
    videos = [
        formats.LabelledVideo(str(folder / video.file), pairs.index((video.shots[0].shape, video.action)))
        for video in plan.held_out_clips(config)
    ]
    formats.write_kinetics_csv(folder / "zero_shot.csv", videos)


def _open_set(config: Shapes, folder: Path) -> None:
    formats.write_class_names(folder / "known_classes.txt", config.actions)
    formats.write_class_names(folder / "unknown_classes.txt", config.unknown_actions)
    for split, name in (("train", "known_train"), ("val", "known_val"), ("test", "known_test")):
        videos = [labelled(folder, video, config.actions) for video in plan.clips(config, split)]
        formats.write_kinetics_csv(folder / f"{name}.txt", videos)
    unknown = [labelled(folder, video, config.unknown_actions) for video in plan.unknown_clips(config)]
    formats.write_kinetics_csv(folder / "unknown_test.txt", unknown)


def _captions(config: Shapes, folder: Path) -> None:
    """Writes five sentences a clip. In a test split each full sentence occurs once, so that a query has one right answer.

    msrvtt_reversed.json has sentences about the same clips played backwards, without clips of actions that are their own reversal.
    """
    clips, backwards = [], []
    for video in plan.clips(config):
        scene = video.shots[0].scene(config)
        clips.append(_clip(video, _sentences(scene)))
        if scene.reversed().action != scene.action:
            turned = _clip(video, _sentences(scene.reversed()))
            backwards.append(annotations.captioned(folder, turned))
    annotations.write_captions(folder, clips)
    formats.write_msrvtt_json(folder / "msrvtt_reversed.json", backwards)


def _sentences(scene: scenes.Scene) -> tuple[str, ...]:
    """Full sentences, then one without textures, then one with the first thing's shape only."""
    plain = replace(scene, objects=tuple(replace(thing, texture="plain") for thing in scene.objects))
    brief = scenes.ACTIONS[scene.action].phrase.format(f"a {scene.objects[0].shape}", "something")
    return (*(scene.caption(style) for style in range(_TEMPLATES)), plain.caption(), brief)


_PARTS = {
    "clips": _clips,
    "further_test": _further_test,
    "zero_shot": _zero_shot,
    "open_set": _open_set,
    "captions": _captions,
    "qa": questions.write_qa,
    "choice": questions.write_choice,
    "untrimmed": timelines.write_segments,
    "ava": timelines.write_ava,
}
