"""Reads labelled videos from a folder for each class, or from a list with a label in each line. It opens no videos.

    my_videos/jump/a.mp4  my_videos/jump/more/b.mov  my_videos/wave/c.mp4      the class is the folder below my_videos
    my_videos.csv                                                              `path,label` a line, the label a name or a number

Links are followed. Hidden files are ignored. Class names that differ only in case, blanks, underscores or hyphens are one class,
as in `labels.union`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ivcore.data import formats
from ivcore.data.formats.named import NamedVideo, read_named_list
from ivcore.data.groups import FILE as GROUPS
from ivcore.data.groups import read_groups
from ivcore.data.labels.union import normalise
from ivcore.data.video_files import ENDINGS
from ivcore.errors import UserError, counted, shown

_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}
_IGNORED = (".", "__", "@", "#recycle", "$RECYCLE")  # beginnings of folders that systems make
_BESIDE = {GROUPS, "classes.txt"}
_SHOWN = 3


@dataclass
class Labelled:
    """videos: path -> class name. together: path -> number of its group, see `data.groups`. notes: one line for each thing left out or changed."""

    videos: dict[str, str]
    together: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Class names in alphabetical order, the order of the labels."""
        return sorted(set(self.videos.values()), key=lambda name: (normalise(name), name))


def read(place: str | os.PathLike) -> Labelled:
    """The videos of a folder of classes, or of a list. UserError if `place` is neither, or has fewer than two classes."""
    place = Path(os.path.abspath(place))
    if os.path.isdir(place):  # accepts impossible paths, too
        found, notes = _folder(place)
        together = read_groups(place)
    elif os.path.isfile(place):
        found, notes = _list(place)
        together = read_groups(place.parent)
    else:
        raise UserError(f"{shown(str(place))}: there is no such folder or list")
    found = [(path, _tidy(name)) for path, name in found]
    spelt = _spelling(name for _, name in found)
    merged = {one: sorted({name for _, name in found if spelt[name] == one}) for one in set(spelt.values())}
    notes += [
        f"classes {' and '.join(map(shown, names))} are one: {shown(one)}"
        for one, names in sorted(merged.items())
        if len(names) > 1
    ]
    videos: dict[str, str] = {}
    for path, name in found:
        if videos.setdefault(os.path.normpath(path), spelt[name]) != spelt[name]:
            raise UserError(f"{path}: is listed as {shown(videos[os.path.normpath(path)])} and as {shown(spelt[name])}")
    labelled = Labelled(videos, together, notes + _left_out_by_name(videos))
    if len(labelled.classes) < 2:
        told = f" ({'; '.join(labelled.notes)})" if labelled.notes else ""
        raise UserError(_too_few_classes(place, labelled.classes) + told)
    return labelled


def _tidy(name: str) -> str:
    """The name with composed characters (NFC) and single blanks, so that names that look the same are equal."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def _spelling(names) -> dict[str, str]:
    """name -> the spelling of its class: the most frequent one; in a tie the first in the alphabet."""
    counts = Counter(names)
    best: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        best.setdefault(normalise(name), name)
    return {name: best[normalise(name)] for name in counts}


def _left_out_by_name(videos: dict[str, str]) -> list[str]:
    """Removes videos whose path or class cannot be written in a list; returns notes."""
    bad = [path for path, name in videos.items() if not name or path != path.strip() or any(map(_ends_line, path))]
    for path in bad:
        del videos[path]
    if not bad:
        return []
    return [
        f"{counted(len(bad), 'file')} left out, whose names no list can hold or whose class is blank, such as {shown(bad[0])}"
    ]


def _ends_line(letter: str) -> bool:
    """Whether a letter cannot stand in a line of a list: a control character, half of a pair, or a line separator."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")


# ---- a folder


def _folder(place: Path) -> tuple[list[tuple[str, str]], list[str]]:
    folders = sorted(child for child in place.iterdir() if child.is_dir() and not child.name.startswith(_IGNORED))
    parts = [child for child in folders if re.split(r"[\W_]+", child.name.lower())[0] in _PARTS]
    if len(parts) > 1 and not [child for child in folders if child not in parts and _has_video(child, place)]:
        raise UserError(
            f"{place}: its folders are called {', '.join(child.name for child in parts)}, which are parts and not classes; "
            f"give {parts[0]} alone, or a list with `path,label` lines"
        )
    found, others, empty = [], Counter(), []
    for child in folders:
        files = list(_files(child, place))
        videos = [file for file in files if _ending(file) in ENDINGS]
        others.update(
            f".{_ending(file)}" if _ending(file) else "none" for file in files if _ending(file) not in ENDINGS
        )
        found += [(file, child.name) for file in videos]
        empty += [] if videos else [child.name]
    beside = [file.name for file in sorted(place.iterdir()) if file.is_file() and not file.name.startswith(".")]
    loose = [name for name in beside if _ending(name) in ENDINGS]
    if not found:
        raise UserError(_no_video(place, beside, loose))
    notes = []
    if others:
        kinds = ", ".join(
            f"{count} {ending}" for ending, count in sorted(others.items(), key=lambda each: (-each[1], each[0]))[:5]
        )
        notes.append(f"{counted(others.total(), 'file')} left out, by their ending no videos: {kinds}")
    if empty:
        notes.append(
            f"{counted(len(empty), 'folder')} without a video, which makes no class, such as {shown(empty[0])}"
        )
    if loose:
        notes.append(f"{counted(len(loose), 'video')} left out, in no class's folder, such as {shown(loose[0])}")
    return found, notes


def _has_video(folder: Path, place: Path) -> bool:
    return any(_ending(file) in ENDINGS for file in _files(folder, place))


def _no_video(place: Path, beside: list[str], loose: list[str]) -> str:
    if lists := [name for name in beside if name.endswith((".csv", ".tsv", ".txt")) and name not in _BESIDE]:
        return f"{place}: no folder in it has a video; give its list: {place / lists[0]}"
    if loose:
        above = place.parent
        others = sum(
            child.is_dir() and any(_ending(name) in ENDINGS for name in _files(child, above))
            for child in above.iterdir()
        )
        hint = f"; if {shown(place.name)} is a class, give the folder above: {above}" if others > 1 else ""
        return f"{place}: {counted(len(loose), 'video')} in no folder{hint}; put each in a folder named after its class, or give a list with `path,label` lines"
    return f"{place}: no folder in it has a video ({', '.join(ENDINGS)})"


def _too_few_classes(place: Path, classes: list[str]) -> str:
    there = f"one class only, {shown(classes[0])}" if classes else "no class"
    below = place / classes[0] if classes else place
    hint = ""
    if place.is_dir() and classes and below.is_dir() and sum(child.is_dir() for child in below.iterdir()) > 1:
        hint = f"; if its classes are the folders in that one, give {below}"
    return f"{place}: {there}, and learning to tell classes apart takes two or more{hint}"


def _files(folder: Path, place: Path) -> Iterator[str]:
    """Every file below `folder`, sorted by name. Follows links, but visits each folder once and never `place` or its parents."""
    real = Path(os.path.realpath(place))
    seen = {str(real), *map(str, real.parents)}
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(_IGNORED))
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.join(parent, name)


def _ending(file: str) -> str:
    return os.path.splitext(file)[1][1:].lower()


# ---- a list


def _list(place: Path) -> tuple[list[tuple[str, str]], list[str]]:
    rows: list[NamedVideo] = read_named_list(place)
    if all(row.name.isdecimal() for row in rows):
        rows = _numbers_as_names(place, rows)
    there = [row for row in rows if os.path.exists(row.path)]
    if not there:
        raise UserError(
            f"{place}: none of its {len(rows)} videos exists, e.g. {rows[0].path} (relative paths start from the list's own folder)"
        )
    gone = [row.path for row in rows if not os.path.exists(row.path)]
    notes = [f"{counted(len(gone), 'file')} of the list left out, not there, such as {shown(gone[0])}"] if gone else []
    if beside := [file for file in ("train.csv", "val.csv", "test.csv") if place.with_name(file).is_file() and file != place.name]:  # fmt: skip
        notes.append(f"{' and '.join(beside)} beside it are not read: the parts are made of this list alone")
    return [(row.path, row.name) for row in there], notes


def _numbers_as_names(place: Path, rows: list[NamedVideo]) -> list[NamedVideo]:
    """Replaces number labels by the names in the classes.txt beside the list, if there is one."""
    listed = place.with_name("classes.txt")
    if not listed.is_file():
        return rows
    names = formats.read_class_names(listed)
    if beyond := [row for row in rows if len(row.name) > 9 or int(row.name) >= len(names)]:
        raise UserError(f"{listed}: {len(names)} names, but {beyond[0].path} has the label {shown(beyond[0].name)}")
    return [NamedVideo(row.path, names[int(row.name)]) for row in rows]
