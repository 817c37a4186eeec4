"""Annotations of the embedded dataset in the formats of the datasets that it stands for, one function a part of it."""

from pathlib import Path

from ivcore.data import formats, scenes, shapes


def write(part: str, config: shapes.Shapes, folder: Path) -> None:
    """Writes the annotation files of one part; the videos need not be there."""
    _PARTS[part](config, folder)


def _clips(config: shapes.Shapes, folder: Path) -> None:
    formats.write_class_names(folder / "classes.txt", config.actions)
    templates = [formats.plain_template(_template(action)) for action in config.actions]
    formats.write_ssv2_labels(folder / "ssv2-labels.json", templates)
    clips = shapes.clips(config)
    for split, released in (("train", "train"), ("val", "validation"), ("test", "test")):
        chosen = [video for video in clips if video.split == split]
        labelled = [_labelled(folder, video, config.actions) for video in chosen]
        formats.write_kinetics_csv(folder / f"{split}.csv", labelled)
        something = [_something(config, folder, video) for video in chosen]
        formats.write_ssv2_json(folder / f"ssv2-{released}.json", something)


def _labelled(folder: Path, video: shapes.Video, classes) -> formats.LabelledVideo:
    return formats.LabelledVideo(str(folder / video.file), classes.index(video.action))


def _template(action: str) -> str:
    return scenes.ACTIONS[action].phrase.format("[something]", "[something]")


def _something(config: shapes.Shapes, folder: Path, video: shapes.Video) -> formats.SomethingVideo:
    scene = video.shots[0].scene(config)
    things = tuple(thing.words for thing in scene.objects)
    path, label = str(folder / video.file), config.actions.index(video.action)
    return formats.SomethingVideo(video.id, path, label, scene.caption(), _template(video.action), things)


_PARTS = {"clips": _clips}
