"""Writes the lists of a generated set in the formats of real ones: Kinetics' labels, MSR-VTT's captions, and groups of clips.

train.csv, val.csv, test.csv, classes.txt             Kinetics
msrvtt.json, msrvtt_train.csv, …_val.csv, …_test.csv  MSR-VTT
msrvtt_reversed.json                                  MSR-VTT: captions of clips played backwards, where these differ
groups.csv                                            clips of one scene, see `data.groups`
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ivcore.data import formats
from ivcore.data.groups import FILE as GROUPS

VERSION = "2"  # of the lists written here; change it when they change
SPLITS = ("train", "val", "test")
LABEL_SETS = "label_sets"  # a folder
REVERSED = "msrvtt_reversed.json"


@dataclass(frozen=True)
class Clip:
    """One generated clip: videos/<name>.mp4.

    split: one of SPLITS. label: the name of its class. captions: sentences about what is seen, the most detailed first. scene: clips of one
    scene (the same actor, look and place, or the same film) have the same text here and are in one split. backwards: sentences about the
    clip played backwards, if they differ.
    """

    name: str
    split: str
    label: str
    captions: tuple[str, ...]
    scene: str
    backwards: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return f"videos/{self.name}.mp4"


def write_labels(folder: Path, clips: Sequence[Clip], classes: Sequence[str], root: Path | None = None) -> None:
    """Writes classes.txt and the list of each split that has clips. Paths start from `root`, where the clips lie (default: `folder`)."""
    root = root or folder
    formats.write_class_names(folder / "classes.txt", classes)
    label_of = {name: label for label, name in enumerate(classes)}
    for split in SPLITS:
        videos = [formats.LabelledVideo(str(root / c.file), label_of[c.label]) for c in clips if c.split == split]
        if videos:
            formats.write_kinetics_csv(folder / f"{split}.csv", videos, root)


def write_label_sets(
    folder: Path, sets: Mapping[str, tuple[Sequence[Clip], Sequence[str]]], motion: Sequence[str]
) -> None:
    """Writes label_sets/ in `folder`. sets: name -> (clips, classes). motion: names of the classes that are movements."""
    for name, (clips, classes) in sets.items():
        write_labels(folder / LABEL_SETS / name, clips, classes, folder)
    scenes = [(clip.file, clip.scene) for clips, _ in sets.values() for clip in clips]
    write_groups(folder / LABEL_SETS, scenes, folder)
    if motion:
        formats.write_class_names(folder / LABEL_SETS / "motion_classes.txt", dict.fromkeys(motion))


def write_captions(folder: Path, clips: Sequence[Clip]) -> None:
    """Writes msrvtt.json and a list of each split. In a held-out split each first caption is unique, so that each query has one right answer."""
    formats.write_msrvtt_json(folder / "msrvtt.json", [captioned(folder, clip) for clip in clips])
    turned = [captioned(folder, replace(clip, captions=clip.backwards)) for clip in clips if clip.backwards]
    if turned:
        formats.write_msrvtt_json(folder / REVERSED, turned)
    train = [formats.SplitRow(clip.name) for clip in clips if clip.split == "train"]
    formats.write_msrvtt_csv(folder / "msrvtt_train.csv", train)
    for split in SPLITS[1:]:
        rows: dict[str, formats.SplitRow] = {}
        for clip in clips:
            if clip.split == split:
                rows.setdefault(clip.captions[0], formats.SplitRow(clip.name, clip.captions[0]))
        formats.write_msrvtt_csv(folder / f"msrvtt_{split}.csv", rows.values())


def captioned(folder: Path, clip: Clip) -> formats.CaptionedVideo:
    split = "validate" if clip.split == "val" else clip.split
    return formats.CaptionedVideo(clip.name, str(folder / clip.file), clip.captions, split)


def write_groups(folder: Path, scenes: Iterable[tuple[str, object]], root: Path) -> None:
    """Writes groups.csv in `folder` from (file below `root`, scene) of each clip; clips of one scene share a number. No clips: writes nothing."""
    number: dict = {}
    grouped = [formats.LabelledVideo(str(root / file), number.setdefault(scene, len(number))) for file, scene in scenes]
    if grouped:
        formats.write_kinetics_csv(folder / GROUPS, grouped, root)
