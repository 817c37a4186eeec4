"""Three label sets of the moving shapes that overlap like Kinetics-400, -600 and -700, in the same file formats.

    <folder of the shapes>/label_sets-<hash>/motion_classes.txt, groups.csv
    <folder of the shapes>/label_sets-<hash>/<set>/{train,val,test}.csv, classes.txt

Some clips are labelled by motion and some by appearance, as in Kinetics, where "shaking hands" is a movement and "playing harp" a
harp. Each set has its own classes, in its own order and spelling, and its own choice of clips. As in the released sets, the largest
trains on some videos that the smallest tests on.

The val lists, for choices, hold the clips of val and test. The test lists, for final numbers, hold further clips that nothing
else reads.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

from ivcore.data import formats
from ivcore.data.formats import LabelledVideo
from ivcore.data.shapes import annotations, plan, scenes
from ivcore.data.shapes.builder import build as build_shapes
from ivcore.data.shapes.config import Shapes

PARTS = ("clips", "further_test")  # of the moving shapes; the sets use these
MARK = "motion_classes.txt"
VERSION = "b575babe"  # of the lists; change it whenever they change
LEAKED = 8  # videos of each held-out split of the smallest set that the largest trains on
_SETS = {  # name -> (its slice of `_shuffled`, the spelling of its class names)
    "shapes11": (slice(0, 11), str),
    "shapes14": (slice(4, 18), str.title),
    "shapes16": (slice(3, 19), lambda name: name.replace(" ", "_")),
}
SETS = tuple(_SETS)
BESIDE = ("cover", "uncover", "orbit clockwise", "orbit counter-clockwise")  # a small thing and a large one
APPEARANCE = tuple(f"large {colour} thing" for colour in scenes.COLOURS)


def class_of(scene: scenes.Scene) -> str:
    """The scene's action, or, if a thing covers or circles another, the colour of the larger one, always the last."""
    if scene.action in BESIDE:
        return f"large {scene.objects[-1].colour} thing"
    return scene.action


def motion_classes(config: Shapes) -> list[str]:
    return [action for action in config.actions if action not in BESIDE]


def splits(config: Shapes) -> dict[str, list[plan.Video]]:
    """The videos of train, val and test for all sets together."""
    clips = plan.clips(config)
    train = [video for video in clips if video.split == "train"]
    val = [video for video in clips if video.split != "train"]
    return {"train": train, "val": val, "test": plan.further_clips(config)}


def build(config: Shapes) -> Path:
    """Makes what is missing of the clips and the sets, and returns the sets' folder, which lies beside the clips.

    The same config always gives the same files. Each is written whole; motion_classes.txt is the last and marks the folder as complete.
    """
    root = build_shapes(replace(config, parts=PARTS))
    folder = root / f"label_sets-{VERSION}"
    if not (folder / MARK).is_file():
        write(config, folder, root)
    return folder


def write(config: Shapes, folder: Path, root: Path) -> None:
    """Writes all files of the sets for the clips of the dataset in `root`."""
    clips = {split: [(video, class_of(video.shots[0].scene(config))) for video in videos]
             for split, videos in splits(config).items()}  # fmt: skip
    chosen = [{s: _chosen(c, number, config) for s, c in clips.items()} for number in range(len(SETS))]
    chosen[-1]["train"] += _leaks(chosen[0], _classes(SETS[-1], config))
    for name, of_split in zip(SETS, chosen):
        _write_set(name, root, folder / name, _classes(name, config), of_split)
    annotations.write_groups(config, folder, root)
    formats.write_class_names(folder / MARK, motion_classes(config))


def _leaks(smallest: dict[str, list[tuple]], classes: list[str]) -> list[tuple]:
    """Held-out videos of the smallest set that a set with these classes trains on."""
    able = {split: [clip for clip in smallest[split] if clip[1] in classes] for split in ("val", "test")}
    return [clip for split in able.values() for clip in split[:LEAKED]]


def _shuffled(config: Shapes) -> list[str]:
    """All classes, motion and appearance mixed."""
    classes = [*motion_classes(config), *APPEARANCE]
    return random.Random(0).sample(classes, len(classes))


@cache
def _classes(name: str, config: Shapes) -> list[str]:
    return sorted(_shuffled(config)[_SETS[name][0]])


def _holders(video: str, label: str, config: Shapes) -> list[int]:
    """Numbers of the sets that hold a clip: one or more of those with its class, drawn by its name."""
    having = [number for number, name in enumerate(SETS) if label in _classes(name, config)]
    draw = random.Random(video)
    return sorted(draw.sample(having, draw.randint(1, len(having))))


def _chosen(clips, number: int, config: Shapes) -> list[tuple]:
    return [(video, label) for video, label in clips if number in _holders(video.id, label, config)]


def _write_set(name: str, root: Path, folder: Path, classes: list[str], clips: dict[str, list[tuple]]) -> None:
    spelling = _SETS[name][1]
    formats.write_class_names(folder / "classes.txt", [spelling(label) for label in classes])
    for split, chosen in clips.items():
        videos = [LabelledVideo(str(root / video.file), classes.index(label)) for video, label in chosen]
        formats.write_kinetics_csv(folder / f"{split}.csv", videos, root)
