"""Divides labelled videos into training, validation and test lists. Leaves out what cannot be used, and says so."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ivcore.data import film_names, formats, groups
from ivcore.data.class_folders import Labelled
from ivcore.data.connected_videos import joined
from ivcore.data.formats import LabelledVideo
from ivcore.data.identity import clip_keys, file_keys, of_one_id, video_keys
from ivcore.data.splits import number_by_name
from ivcore.data.stratify import PARTS, stratify
from ivcore.errors import UserError, counted, shown
from ivcore.video.probe import Probe

_ABOUT = "docs/data.md, What is held out"
_FEW = 5  # videos to train on, below which a class gets a word
_LEAST = {"train": 0.8, "val": 0.5, "test": 0.5}  # share of a part's size below which films that shrink it get a word
_FEWEST_TRAINED = 0.5  # share of the training videos that films must leave


@dataclass
class Divided:
    """parts: "train", "val", "test" -> videos. together: path -> number of the unit that keeps several videos in one part."""

    classes: list[str]
    parts: dict[str, list[LabelledVideo]]
    together: dict[str, int]
    notes: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, dict[str, int]]:
        """class -> part -> number of videos."""
        numbers = {part: Counter(video.label for video in videos) for part, videos in self.parts.items()}
        return {name: {part: numbers[part][label] for part in PARTS} for label, name in enumerate(self.classes)}

    def warnings(self) -> list[str]:
        """One line for each problem that the counts show: classes that are not tested or have few training videos."""
        counts = self.counts()
        untested = [name for name, of in counts.items() if not of["test"]]
        few = [name for name, of in counts.items() if of["train"] < _FEW]
        lines = []
        if untested:
            lines.append(
                f"{counted(len(untested), 'class', 'classes')} with too few videos to be tested, such as {shown(untested[0])}"
            )
        if few:
            lines.append(
                f"{counted(len(few), 'class', 'classes')} with fewer than {_FEW} videos to train on, such as {shown(few[0])}"
            )
        return lines


def divide(labelled: Labelled, probes: Mapping[str, Probe]) -> Divided:
    """Divides labelled videos into three parts.

    Keeps one of several copies, and none if they are in two classes. Cuts of one YouTube video are no copies, but stay in one part. So do
    videos of one group in `labelled.together`. If that lists fewer than half of the videos, `film_names` finds films among the others.

    probes: of the files that have been read; files without a probe count as readable. UserError if fewer than two classes are left.
    """
    notes, videos = [], dict(sorted(labelled.videos.items()))
    bad = {path: probes[path].cause for path in videos if path in probes and probes[path].kind}
    if bad:
        path, cause = next(iter(bad.items()))
        notes.append(f"{counted(len(bad), 'file')} left out that cannot be read, such as {path}: {cause}")
    videos = {path: name for path, name in videos.items() if path not in bad}
    of_videos, of_files = video_keys(videos), file_keys(videos)
    of_clips = clip_keys(of_videos)
    kept, left_out = _each_once(videos, joined({path: (of_clips[path], of_files[path]) for path in videos}))
    notes += left_out
    if gone := [name for name in labelled.classes if name not in kept.values()]:
        notes.append(f"{counted(len(gone), 'class', 'classes')} without a video left, such as {shown(gone[0])}")
    classes = [name for name in labelled.classes if name not in gone]
    if len(classes) < 2:
        raise UserError(f"{len(classes)} classes are left, and two are the least ({'; '.join(notes) or 'no videos'})")
    grouped = {path: labelled.together.get(os.path.normpath(path)) for path in videos}
    units = joined({path: (of_videos[path], of_files[path], grouped[path]) for path in videos})
    of_each = _stratified(kept, units)
    listed = {path for path in kept if grouped[path] is not None}
    notes += _of_groups(labelled, listed, len(kept))
    if 2 * len(listed) < len(kept):
        ids = of_one_id({path: of_videos[path] for path in kept})
        units, of_each, said = _by_film(kept, units, of_each, ids, listed)
        notes += said
    parts = {part: [] for part in PARTS}
    for (path, name), part in zip(kept.items(), of_each):
        parts[part].append(LabelledVideo(path, classes.index(name)))
    return Divided(classes, parts, _together(kept, units), notes)


def _each_once(videos: dict[str, str], keys: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Keeps the first of several files with the same content; none if they are in several classes. Returns (path -> class, notes)."""
    copies = defaultdict(list)
    for path in videos:
        copies[keys[path]].append(path)
    torn = [paths for paths in copies.values() if len({videos[path] for path in paths}) > 1]
    again = [path for paths in copies.values() if len({videos[path] for path in paths}) == 1 for path in paths[1:]]
    gone = {*again, *(path for paths in torn for path in paths)}
    notes = []
    if again:
        notes.append(f"{counted(len(again), 'copy', 'copies')} of videos left out, such as {again[0]}")
    if torn:
        first, second = (next(p for p in torn[0] if videos[p] == name) for name in sorted({videos[p] for p in torn[0]})[:2])  # fmt: skip
        notes.append(f"{counted(sum(map(len, torn)), 'file')} left out that show one video in two classes, such as {first} and {second}")  # fmt: skip
    return {path: name for path, name in videos.items() if path not in gone}, notes


def _stratified(kept: dict[str, str], units: dict[str, str]) -> list[str]:
    return stratify(list(kept.values()), [units[path] for path in kept], [number_by_name(path) for path in kept])


def _of_groups(labelled: Labelled, listed: set[str], count: int) -> list[str]:
    """One line about a groups.csv: how many of the `count` videos it lists, and how many of its lines name no video."""
    if not labelled.together:
        return []
    videos = {os.path.normpath(path) for path in labelled.videos}
    unknown = [path for path in labelled.together if path not in videos]
    numbers = {labelled.together[os.path.normpath(path)] for path in listed}
    found = f"puts {len(listed)} of {count} videos into {counted(len(numbers), 'group')}" if listed else "names none of the videos"  # fmt: skip
    wrong = (
        f"; {counted(len(unknown), 'line')} of it with no such video, such as {shown(unknown[0])}" if unknown else ""
    )
    return [f"{groups.FILE} {found}{wrong}"]


def _by_film(kept: dict[str, str], units: dict[str, str], of_each: list[str], ids: Mapping[str, str], listed: set[str]) -> tuple[dict[str, str], list[str], list[str]]:  # fmt: skip
    """Puts cuts of one film into one part if names tell films and every class keeps its parts; else changes nothing.

    ids: YouTube id of the videos that share one. listed: videos of groups.csv, whose names are not read. Returns (units, part of each
    video, notes).
    """
    notes = []
    if ids := {path: key for path in kept if (key := ids.get(os.path.normpath(path)))}:
        videos = f"{len(ids)} videos are cuts of {len(set(ids.values()))} YouTube videos by their ids"
        notes.append(f"{videos}: cuts of one stay in one part")
    others = {path: name for path, name in kept.items() if path not in ids and path not in listed}
    if found := film_names.films(others):
        by_film = joined({path: (units[path], found.get(path)) for path in kept})
        look = f"names look like {film_names.told(found)}"
        if film_names.enough(found, others) and (apart := _as_whole(kept, by_film, of_each)):
            notes.append(
                f"{look}: cuts with one name before their counter stay in one part{_less(apart, of_each)}; {groups.FILE} can say otherwise"
            )
            return by_film, apart, notes
        notes.append(f"{look}, too few to keep each in one part: training and test may share films ({_ABOUT})")
    elif not ids and not listed:
        notes.append(f"no two videos are known to be cuts of one film: if some are, list them in {groups.FILE} ({_ABOUT})")  # fmt: skip
    return units, of_each, notes


def _less(apart: list[str], of_each: list[str]) -> str:
    """Words for parts that large films make much smaller than they would be; "" if there is none."""
    small = [part for part, least in _LEAST.items() if apart.count(part) < least * of_each.count(part)]
    left = " and ".join(f"{apart.count(part)} {part} videos instead of {of_each.count(part)}" for part in small)
    return f", which leaves {left}" if left else ""


def _as_whole(kept: dict[str, str], units: dict[str, str], of_each: list[str]) -> list[str]:
    """The part of each video by other units; [] if a class loses a part that it has in `of_each`, or training too many videos."""
    try:
        apart = _stratified(kept, units)
    except UserError:
        return []
    enough = apart.count("train") >= _FEWEST_TRAINED * of_each.count("train")
    return apart if enough and set(zip(kept.values(), of_each)) <= set(zip(kept.values(), apart)) else []


def _together(kept: dict[str, str], units: dict[str, str]) -> dict[str, int]:
    sizes = Counter(units[path] for path in kept)
    several = {unit: number for number, unit in enumerate(unit for unit, size in sizes.items() if size > 1)}
    return {path: several[units[path]] for path in kept if units[path] in several}


def write(divided: Divided, folder: Path) -> None:
    """Writes a label set (`labels.sets`): train.csv, val.csv, test.csv, classes.txt and, if videos belong together, groups.csv."""
    for part, videos in divided.parts.items():
        formats.write_kinetics_csv(folder / f"{part}.csv", videos)
    formats.write_class_names(folder / "classes.txt", divided.classes)
    listed = folder / groups.FILE
    if divided.together:
        formats.write_kinetics_csv(listed, [LabelledVideo(*each) for each in divided.together.items()])
    else:
        listed.unlink(missing_ok=True)
