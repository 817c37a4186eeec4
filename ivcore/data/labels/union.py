"""One labelled set from several that overlap, as Kinetics-710 is made of K400, K600 and K700 (paper 3.2; UniFormerV2, arXiv 2211.09552).

Classes of the same name become one, clips of the same video are kept from one set only, and a training clip whose video occurs in any set's
validation or test split is dropped. Works for any sets; for Kinetics:

    sets = [read_set("k400", "k400/train.csv", "k400/val.csv", "k400/test.csv"), read_set("k600", ...), read_set("k700", ...)]
    union = unite(sets, classes=kinetics710.CLASSES, renamed=kinetics710.RENAMED)
    write(union, "k710")

Names are the same when they agree in everything but case, quotes and what parts their words (blanks, underscores, hyphens).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, path
from pathlib import Path

from ivcore.data import formats
from ivcore.data.formats import LabelledVideo
from ivcore.data.formats.text import base_folder
from ivcore.data.identity import clip_name, youtube_id
from ivcore.errors import FormatError, ParameterError, UserError
from ivcore.files import write_text

LAYOUT = "{label}/{id}_{start:06d}_{end:06d}.mp4"  # where most downloaders of Kinetics put a clip
SET_FILES = (
    "train.csv",
    "val.csv",
    "test.csv",
    "classes.txt",
)  # of a set's folder; all but the first where there are any
_QUOTES = dict.fromkeys(map(ord, "'\"`´‘’“”"))
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


@dataclass(frozen=True)
class LabelSet:
    """A set with its classes. Labels of `train` and `val` index `class_names`; of `test` only the video ids are read."""

    name: str
    train: Sequence[LabelledVideo]
    val: Sequence[LabelledVideo] = ()
    test: Sequence = ()  # paths, or records with a path
    class_names: Sequence[str] = ()


@dataclass(frozen=True)
class LabelUnion:
    """Result of `unite`. maps: set -> row of the union's head for each of its classes; counts: set -> numbers of its
    clips by what happened to them.

    counts of a set: classes, new_classes, read (training clips), leaked, repeated, relabelled (repeated clips that
    were kept under another class), missing, kept; and val_read, val_repeated, val_relabelled, val_missing, val_kept.
    """

    classes: list[str]
    train: list[LabelledVideo]
    val: list[LabelledVideo]
    maps: dict[str, list[int]]
    counts: dict[str, dict[str, int]] = field(compare=False)


@functools.lru_cache(4096)  # a file has hundreds of thousands of rows, and few spellings
def normalise(name: str) -> str:
    """ "Playing_Ping-Pong" and "playing ping pong" are one name; "-1" and "1" are two."""
    if _NUMBER.fullmatch(name.strip()):
        return name.strip()
    return _BETWEEN_WORDS.sub(" ", name.translate(_QUOTES).casefold()).strip()


def video_name(clip: str) -> str:
    """ "abseiling/0347ZoDXyP0_000010_000020.mp4" or ".../0347ZoDXyP0.mp4" -> "0347ZoDXyP0"; other names without their ending."""
    return youtube_id(clip) or clip_name(clip)


def unite(
    sets: Sequence[LabelSet],
    *,
    classes: Sequence[str] | None = None,
    renamed: Mapping[str, str] | None = None,
    video_id: Callable[[str], str] = video_name,
    clip_id: Callable[[str], str] = clip_name,
    present: Callable[[str], bool] | None = None,
) -> LabelUnion:
    """Unites the sets in their order: first all classes of the first set, then those that each further set adds.

    classes: names in the order of the head's rows, for a published head; every class of every set must be among
    them. renamed: older name -> name in the union. video_id: path -> id of the video that a clip was cut from.
    clip_id: path -> key that distinguishes the clips of one video. present: path -> whether the clip exists
    (`os.path.exists`); missing clips are left out and counted. Clips of a video are kept from the first set that has
    it, as published: "delete the repeated videos according to YouTube IDs". Within that set each clip is kept once,
    with its own label. ParameterError for two sets of one name, invalid labels, and a class that is repeated or
    missing in `classes`.
    """
    if len({one.name for one in sets}) < len(sets) or not sets:
        raise ParameterError("sets: expected one or more, each with a name of its own")
    names, maps = _classes(sets, classes, renamed or {})
    held_out = {
        video_id(clip if isinstance(clip, str) else clip.path) for one in sets for clip in (*one.val, *one.test)
    }
    train, val = (_Kept(video_id, clip_id, present, some) for some in (held_out, frozenset()))
    counts, known = {}, set()
    for one in sets:
        rows = maps[one.name]
        of_train = train.add(one.train, rows, f"{one.name} train")
        of_val = val.add(one.val, rows, f"{one.name} val")
        of_val.pop("leaked")
        counts[one.name] = {"classes": len(rows), "new_classes": len({*rows} - known)} | of_train
        counts[one.name] |= {f"val_{key}": value for key, value in of_val.items()}
        known.update(rows)
    return LabelUnion(names, train.clips, val.clips, maps, counts)


class _Kept:
    """The clips of one split of the union: of each video those of one set, each once."""

    def __init__(self, video_id, clip_id, present, held_out):
        self.video_id, self.clip_id, self.present, self.held_out = video_id, clip_id, present, held_out
        self.clips: list[LabelledVideo] = []
        self.videos: dict[
            str, tuple[str, dict[str, int]]
        ] = {}  # -> the set that it is kept from, and its clips' labels

    def add(self, clips: Iterable[LabelledVideo], rows: list[int], what: str) -> dict[str, int]:
        """Adds a set's clips with the union's labels. Returns their counts."""
        count = dict.fromkeys(("read", "leaked", "repeated", "relabelled", "missing", "kept"), 0)
        for clip in clips:
            if not 0 <= clip.label < len(rows):
                raise ParameterError(f"{what}: label {clip.label} of {clip.path} does not fit {len(rows)} classes")
            video, name, label = self.video_id(clip.path), self.clip_id(clip.path), rows[clip.label]
            source, labels = self.videos.get(video) or (what, {})
            if video in self.held_out:
                fate = "leaked"
            elif source != what or name in labels:
                fate = "repeated"
                count["relabelled"] += label not in ([labels[name]] if name in labels else labels.values())
            elif self.present is not None and not self.present(clip.path):
                fate = "missing"
            else:
                fate, labels[name] = "kept", label
                self.videos[video] = source, labels
                self.clips.append(LabelledVideo(clip.path, label))
            count["read"] += 1
            count[fate] += 1
        return count


def _classes(sets, classes, renamed) -> tuple[list[str], dict[str, list[int]]]:
    """Returns (class names of the union, set -> row of each of its classes)."""
    renamed = {normalise(old): new for old, new in renamed.items()}
    names, maps = list(classes or ()), {}
    rows = {normalise(name): row for row, name in enumerate(names)}
    if len(rows) < len(names):
        raise ParameterError("classes: a name is given twice")
    for one in sets:
        label_of: dict[int, int] = {}  # of each row of this set
        for label, name in enumerate(one.class_names):
            name = renamed.get(normalise(name), name)
            row = rows.setdefault(normalise(name), len(names))
            if row == len(names):
                if classes is not None:
                    raise ParameterError(f"{one.name}: class {name!r} is not among the {len(names)} given in classes")
                names.append(name)
            if label_of.setdefault(row, label) != label:
                first, second = one.class_names[label_of[row]], one.class_names[label]
                raise ParameterError(f"{one.name}: classes {first!r} and {second!r} have one name in the union")
        maps[one.name] = list(label_of)
    return names, maps


def read_set(
    name: str, train, val=None, test=None, class_names=None, root: str | PathLike | None = None, layout: str = LAYOUT
) -> LabelSet:
    """Reads a set from its annotation files, each in the released format
    (`label,youtube_id,time_start,time_end,split`) or a list `path label`.

    class_names: file with one name a line in the order of the labels. Lists need it; the default for released files
    is the names in the training file in alphabetical order. root: folder of the videos, by default that of each
    file. layout: path below it for a released row, from label, id, start and end. FormatError for a malformed file.
    """
    names = None if class_names is None else formats.read_class_names(class_names)
    if formats.is_kinetics_release(train):
        names = names or sorted({clip.label for clip in formats.read_kinetics_release(train) if clip.label})
    if names is None:
        raise ParameterError(
            f"{name}: {train} has numbers for labels; expected their names beside it in classes.txt, one a line"
        )
    label_of = {normalise(name): label for label, name in enumerate(names)}
    splits = [
        [] if file is None else _read_split(file, known, root, layout)
        for file, known in ((train, label_of), (val, label_of), (test, None))
    ]
    return LabelSet(name, *splits, names)


def set_folders(folder) -> list[Path]:
    """Folders of the label sets in a folder, by name; the folder itself if it is a set; [] without any."""
    folder = Path(folder)
    places = [folder] if (folder / "train.csv").is_file() else sorted(folder.iterdir())
    return [place for place in places if (place / "train.csv").is_file()]


def read_sets(folder, root: str | PathLike | None = None) -> tuple[list[Path], list[LabelSet]]:
    """Returns (folders of the sets, see `set_folders`, and the sets). UserError without a set; other errors as in `read_set`."""
    places = set_folders(folder)
    if not places:
        raise UserError(
            f"{folder}: there is no <set>/train.csv in it; expected a folder for each set, with train.csv, val.csv and classes.txt"
        )
    sets = []
    for place in places:
        train, *others = (place / name for name in SET_FILES)
        given = (file if file.is_file() else None for file in others)
        sets.append(read_set(place.name, train, *given, root=root or None))
    return places, sets


def _read_split(file, label_of: dict[str, int] | None, root, layout: str) -> list:
    """Labelled clips; for a released list without `label_of`, whose clips have no labels, the video ids."""
    if not formats.is_kinetics_release(file):
        return formats.read_kinetics_csv(file, root)
    base, clips = base_folder(file, root), formats.read_kinetics_release(file)
    if label_of is None:
        return [clip.youtube_id for clip in clips]
    labelled = []
    for clip in clips:
        label = label_of.get(normalise(clip.label or ""))
        if label is None:
            expected = f"expected one of the set's classes as label, found {clip.label!r}"
            raise FormatError(file, None, expected)
        place = layout.format(label=clip.label, id=clip.youtube_id, start=clip.start, end=clip.end)
        labelled.append(LabelledVideo(path.join(base, place), label))
    return labelled


def write(union: LabelUnion, folder: str | PathLike, root: str | PathLike | None = None) -> Path:
    """Writes train.csv and val.csv (`path label`), classes.txt, maps.json (the rows of each set's classes) and counts.json."""
    folder = Path(folder)
    for split, clips in (("train", union.train), ("val", union.val)):
        if clips:
            formats.write_kinetics_csv(folder / f"{split}.csv", clips, root)
    formats.write_class_names(folder / "classes.txt", union.classes)
    for name, content in (("maps", union.maps), ("counts", union.counts)):
        write_text(folder / f"{name}.json", json.dumps(content) + "\n")
    return folder
