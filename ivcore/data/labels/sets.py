"""Reads the data of supervised post-pretraining: a folder of label sets, united, or the label sets of a generated
set (paper 3.2).

    <folder>/<set>/train.csv, val.csv, and perhaps test.csv, classes.txt                   see `labels.union.read_set`
    <folder>/motion_classes.txt                                                            names of the classes that are movements, one a line
    <folder>/groups.csv                                                                    which videos belong together, see `data.groups`

Sets are united in the alphabetical order of their names, so that k400, k600, k700 give Kinetics-710.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import exists
from pathlib import Path

from ivcore.data import embedded, formats, splits
from ivcore.data.bad_videos import BadVideos
from ivcore.data.groups import read_groups
from ivcore.data.identity import clip_keys, of_one_id, video_keys
from ivcore.data.labels.union import LabelSet, LabelUnion, normalise, read_sets, unite
from ivcore.data.records import require_some
from ivcore.data.videos import VideoSet

MARK = "motion_classes.txt"


@dataclass(frozen=True)
class UnitedSets:
    """The union's `train`; `val`, for choices; `test`, of further videos. No video is in two of them.

    If the sets' test files have no labels, as in released Kinetics, `test` is the sets' validation videos, as is
    usual with Kinetics, and `val` is held out of the training videos. A split without a list is also held out, see
    `splits.part`. motion: rows of the classes that are movements; appearance: rows of all others; both empty if no
    file tells them apart, or val or test has no video of one kind. notes: changes to the lists.
    """

    sets: list[LabelSet]
    union: LabelUnion
    train: VideoSet
    val: VideoSet
    test: VideoSet
    motion: list[int]
    appearance: list[int]
    notes: list[str]

    @property
    def kinds(self) -> dict[str, str]:
        """class name -> "motion" or "appearance"."""
        names = self.union.classes
        return {names[i]: kind for kind in ("motion", "appearance") for i in getattr(self, kind)}


def united_sets(folder: str = "", root: str = "", *, classes: Sequence[str] | None = None,
                renamed: Mapping[str, str] | None = None, max_bad: int | float | None = None, run_dir=None,
                **generated) -> UnitedSets:  # fmt: skip
    """Unites the sets of `folder`, or reads the one set that it is. root: where relative paths start. classes,
    renamed: see `unite`.

    If `folder` is empty or the name of a generated set, the sets of that; generated: its fields, see `embedded`.
    Missing files are left out and counted (`missing` of the union's counts); max_bad and run_dir as in `BadVideos`.
    FormatError for a malformed file, UserError without a set or a video.
    """
    source = Path(folder).name
    if embedded.is_generated(folder):
        source = embedded.title(folder)
        folder = str(embedded.label_sets(folder, **generated))
        root = str(Path(folder).parent)
    places, sets = read_sets(folder, root)
    tested = _test_sets(sets, places, root)
    files = [clip.path for one in (*sets, *tested) for clip in (*one.train, *one.val)]
    require_some(files, folder)
    bad = BadVideos(files, max_bad, run_dir)
    bad.note_missing()
    bad.refuse_too_many()
    released = [name for one in sets for name in one.test if isinstance(name, str)]  # videos without labels
    videos = video_keys(files)
    keys = videos | {name: f"youtube {name}" for name in released}
    how = {"renamed": renamed, "present": exists, "video_id": keys.get, "clip_id": clip_keys(videos).get}
    union = unite(sets, classes=classes, **how)
    further = unite(tested, classes=union.classes, **how) if tested else None
    lists = {"train": union.train, "val": union.val, "test": further.train if further else []}
    missing = {"train": _total(union, "missing"), "val": _total(union, "val_missing")}
    missing["test"] = _total(further, "missing") if further else 0
    if not lists["test"] and union.val and released:
        lists |= {"val": [], "test": union.val}
        missing |= {"val": 0, "test": missing["val"]}
    together = of_one_id(videos) | read_groups(folder, root or None)
    copies = [clip for one in sets for clip in one.train]
    lists = {"train": union.train} | {split: lists[split] or None for split in ("val", "test")}
    parted = splits.part(lists, together=together, further=copies, max_bad=1.0)
    parts = [
        VideoSet(records, union.classes, source, together, missing[split]) for split, records in parted.records.items()
    ]
    union = replace(union, **{split: parted.records[split] for split in ("train", "val")})
    absent = [f"{split}: {number} files are not there and left out" for split, number in missing.items() if number]  # fmt: skip
    kinds, notes = _kinds(Path(folder), union.classes), [*absent, *parted.notes]
    if without := _split_without(kinds, dict(zip(("val", "test"), parts[1:]))):
        kinds, notes = ([], []), [*notes, without]
    return UnitedSets(sets, union, *parts, *kinds, notes)


def _total(union: LabelUnion, count: str) -> int:
    return sum(counts[count] for counts in union.counts.values())


def _test_sets(sets, folders, root: str) -> list[LabelSet]:
    """The labelled test clips of the sets, each as a set. Released test files of Kinetics have no labels."""
    files = [folder / "test.csv" for folder in folders]
    return [
        replace(one, train=formats.read_kinetics_csv(file, root or None), val=(), test=())
        for one, file in zip(sets, files)
        if file.is_file() and not formats.is_kinetics_release(file)
    ]


def _kinds(folder: Path, classes: list[str]) -> tuple[list[int], list[int]]:
    file = folder / MARK
    if not file.is_file():
        return [], []
    named = {normalise(name) for name in formats.read_class_names(file)}
    is_motion = [normalise(name) in named for name in classes]
    return [i for i, yes in enumerate(is_motion) if yes], [i for i, yes in enumerate(is_motion) if not yes]


def _split_without(kinds: tuple[list[int], list[int]], parts: dict[str, VideoSet]) -> str:
    """A note if one kind of classes has no video in a split, so that kinds cannot be compared there; else ""."""
    for split, videos in parts.items():
        labels = {record.label for record in videos.records}
        for kind, rows in zip(("are movements", "are no movements"), kinds):
            if rows and not labels & set(rows):
                return f"{split}: no video of the classes that {kind} by {MARK}, so they are not told apart"
    return ""
