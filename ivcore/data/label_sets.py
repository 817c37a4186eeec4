"""What supervised post-pretraining learns from: a folder of label sets, united, or those of a generated set (paper 3.2).

    <folder>/<set>/train.csv, val.csv, and where there are any test.csv, classes.txt      as `label_union.read_set` takes them
    <folder>/motion_classes.txt                                                            names of the classes that are movements, one a line
    <folder>/groups.csv                                                                    which videos belong together, see `data.groups`

Sets are united in the alphabetical order of their names, so that k400, k600, k700 give Kinetics-710.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ivcore.data import embedded, formats
from ivcore.data.clips import as_records
from ivcore.data.groups import read_groups
from ivcore.data.label_union import LabelSet, LabelUnion, normalise, read_set, unite
from ivcore.data.videos import VideoSet
from ivcore.errors import UserError


@dataclass(frozen=True)
class UnitedSets:
    """`train` and `val` are the union's; `test` is of further clips where the sets' test files have labels, else `val` again.

    motion: rows of the classes that are movements, appearance: of all others; both empty where nobody says which are which.
    """

    sets: list[LabelSet]
    union: LabelUnion
    train: VideoSet
    val: VideoSet
    test: VideoSet
    motion: list[int]
    appearance: list[int]

    @property
    def kinds(self) -> dict[str, str]:
        """class name -> "motion" or "appearance"."""
        names = self.union.classes
        return {names[i]: kind for kind in ("motion", "appearance") for i in getattr(self, kind)}


def united_sets(folder: str = "", root: str = "", *, classes: Sequence[str] | None = None,
                renamed: Mapping[str, str] | None = None, **generated) -> UnitedSets:  # fmt: skip
    """The sets of `folder`, or the one that it is itself, their relative paths taken from `root`; `classes` and `renamed` as `unite` takes them.

    Where `folder` is empty or "metaworld" those of a generated set, whose fields `generated` are: see `embedded`. FormatError for a malformed
    file, UserError where no set or no video is found.
    """
    source = embedded.NAMES.get(folder, Path(folder).name)
    if folder in embedded.NAMES:
        folder = str(embedded.label_sets(folder, **generated))
        root = str(Path(folder).parent)
    places = [Path(folder)] if (Path(folder) / "train.csv").is_file() else sorted(Path(folder).iterdir())
    found = [each for each in places if (each / "train.csv").is_file()]
    if not found:
        raise UserError(f"{folder}: there is no <set>/train.csv in it")
    sets = [_read(each, root) for each in found]
    union = unite(sets, classes=classes, renamed=renamed)
    tested = _tested(sets, found, union, root, renamed) or union.val
    more = {"classes": union.classes, "source": source, "together": read_groups(folder, root or None)}
    parts = [VideoSet(as_records(clips), **more) for clips in (union.train, union.val, tested)]
    return UnitedSets(sets, union, *parts, *_kinds(Path(folder), union.classes))


def _read(folder: Path, root: str) -> LabelSet:
    val, test, names = (folder / name for name in ("val.csv", "test.csv", "classes.txt"))
    given = [file if file.is_file() else None for file in (val, test, names)]
    return read_set(folder.name, folder / "train.csv", *given, root=root or None)


def _tested(sets, folders, union: LabelUnion, root: str, renamed) -> list:
    """The labelled test clips of all sets as one, which is a union too. Released test files of Kinetics have no labels."""
    labelled = []
    for each, folder in zip(sets, folders):
        file = folder / "test.csv"
        if file.is_file() and not formats.is_kinetics_release(file):
            labelled.append(
                replace(each, train=formats.read_kinetics_csv(file, root or None), val=(), test=())
            )
    return unite(labelled, classes=union.classes, renamed=renamed).train if labelled else []


def _kinds(folder: Path, classes: list[str]) -> tuple[list[int], list[int]]:
    file = folder / "motion_classes.txt"
    if not file.is_file():
        return [], []
    named = {normalise(name) for name in formats.read_class_names(file)}
    is_motion = [normalise(name) in named for name in classes]
    return [i for i, yes in enumerate(is_motion) if yes], [i for i, yes in enumerate(is_motion) if not yes]
