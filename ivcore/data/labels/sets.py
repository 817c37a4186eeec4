"""What supervised post-pretraining learns from: a folder of label sets, united, or those of a generated set (paper 3.2).

    <folder>/<set>/train.csv, val.csv, and where there are any test.csv, classes.txt      as `label_union.read_set` takes them
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
from ivcore.data.identity import video_keys
from ivcore.data.labels.union import LabelSet, LabelUnion, normalise, read_sets, unite
from ivcore.data.videos import VideoSet
from ivcore.errors import UserError, VideoError

MARK = "motion_classes.txt"


@dataclass(frozen=True)
class UnitedSets:
    """The union's `train`; `val`, which choices are made on; `test`, of further videos. No video is in two of them.

    Where the sets' test files have no labels, as the released ones of Kinetics, `test` is the sets' validation videos, as is usual with
    Kinetics, and `val` is held out of the training videos; so is whatever has no list, see `splits.part`. motion: rows of the classes that are movements, appearance: of all others; both empty where
    nobody says which are which, or no video of val or test is of one of them. said: what was done to the lists, in words.
    """

    sets: list[LabelSet]
    union: LabelUnion
    train: VideoSet
    val: VideoSet
    test: VideoSet
    motion: list[int]
    appearance: list[int]
    said: list[str]

    @property
    def kinds(self) -> dict[str, str]:
        """class name -> "motion" or "appearance"."""
        names = self.union.classes
        return {names[i]: kind for kind in ("motion", "appearance") for i in getattr(self, kind)}


def united_sets(folder: str = "", root: str = "", *, classes: Sequence[str] | None = None,
                renamed: Mapping[str, str] | None = None, max_bad: int | float | None = None, run_dir=None,
                **generated) -> UnitedSets:  # fmt: skip
    """The sets of `folder`, or the one that it is itself, their relative paths taken from `root`; `classes` and `renamed` as `unite` takes them.

    Where `folder` is empty or "metaworld" those of a generated set, whose fields `generated` are: see `embedded`. Files that are not there
    are left out and counted (`missing` of the union's counts), see `BadVideos` for max_bad and run_dir. FormatError for a malformed
    file, UserError where no set or no video is found.
    """
    source = embedded.NAMES.get(folder, Path(folder).name)
    if folder in embedded.NAMES:
        folder = str(embedded.label_sets(folder, **generated))
        root = str(Path(folder).parent)
    found, sets = read_sets(folder, root)
    tested = _test_sets(sets, found, root)
    files = [clip.path for each in (*sets, *tested) for clip in (*each.train, *each.val)]
    _refuse_missing(folder, files, max_bad, run_dir)
    keys = video_keys(files)
    keys |= {name: f"youtube {name}" for each in sets for name in each.test if isinstance(name, str)}
    same = {"renamed": renamed, "present": exists, "video_id": keys.get}
    union = unite(sets, classes=classes, **same)
    further = unite(tested, classes=union.classes, **same) if tested else None
    test = further.train if further else []
    lists = {"train": union.train, "val": union.val or None, "test": test or None}
    usual = not test and union.val and any(isinstance(name, str) for each in sets for name in each.test)
    if usual:
        lists |= {"val": None, "test": union.val}
    gone = {
        "train": _total(union, "missing"),
        "val": _total(union, "val_missing"),
        "test": _total(further, "missing") if further else 0,
    }
    if usual:
        gone |= {"val": 0, "test": gone["val"]}
    together = read_groups(folder, root or None)
    parted = splits.part(
        lists, together=together, further=[clip for each in sets for clip in each.train], max_bad=1.0
    )
    more = {"classes": union.classes, "source": source, "together": together}
    parts = [VideoSet(r, **more, missing=gone[split]) for split, r in parted.records.items()]
    union = replace(union, **{split: parted.records[split] for split in ("train", "val")})
    absent = [
        f"{split}: {number} files are not there and left out" for split, number in gone.items() if number
    ]
    kinds, said = _kinds(Path(folder), union.classes), [*absent, *parted.said]
    if lacking := _unjudged(kinds, dict(zip(("val", "test"), parts[1:]))):
        kinds, said = ([], []), [*said, lacking]
    return UnitedSets(sets, union, *parts, *kinds, said)


def _total(union: LabelUnion, count: str) -> int:
    return sum(counts[count] for counts in union.counts.values())


def _refuse_missing(folder: str, files: list[str], max_bad, run_dir) -> None:
    """Notes what is not there, and stops where that is too much: then it is the folder that is wrong and not a video."""
    gone = sorted({file for file in files if not exists(file)})
    if gone and len(gone) == len(set(files)):
        raise UserError(
            f"{folder}: none of the {len(gone)} videos of its lists exists, e.g. {gone[0]} (relative paths start from "
            f"the list's own folder, or from the folder given as root)"
        )
    bad = BadVideos(files, max_bad, run_dir)
    for path in gone:
        bad.note(VideoError(path, "there is no such file"))
    bad.refuse_too_many()


def _test_sets(sets, folders, root: str) -> list[LabelSet]:
    """The labelled test clips of the sets, as sets of their own. Released test files of Kinetics have no labels."""
    labelled = []
    for each, folder in zip(sets, folders):
        file = folder / "test.csv"
        if file.is_file() and not formats.is_kinetics_release(file):
            labelled.append(
                replace(each, train=formats.read_kinetics_csv(file, root or None), val=(), test=())
            )
    return labelled


def _kinds(folder: Path, classes: list[str]) -> tuple[list[int], list[int]]:
    file = folder / MARK
    if not file.is_file():
        return [], []
    named = {normalise(name) for name in formats.read_class_names(file)}
    is_motion = [normalise(name) in named for name in classes]
    return [i for i, yes in enumerate(is_motion) if yes], [i for i, yes in enumerate(is_motion) if not yes]


def _unjudged(kinds: tuple[list[int], list[int]], parts: dict[str, VideoSet]) -> str:
    """What to say where a kind of classes has no video in a split that is judged, so that kinds cannot be told apart there; else ""."""
    for split, videos in parts.items():
        labels = {record.label for record in videos.records}
        for kind, rows in zip(("are movements", "are no movements"), kinds):
            if rows and not labels & set(rows):
                return f"{split}: no video of the classes that {kind} by {MARK}, so they are not told apart"
    return ""
