"""The labelled videos of a stage: the user's own Kinetics CSVs, or a generated set where no path is given."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from ivcore.data import embedded, formats, splits
from ivcore.data.formats import OneLabel
from ivcore.data.groups import group_numbers, read_groups
from ivcore.data.records import read_records
from ivcore.data.releases import films, read_release
from ivcore.errors import UserError, one_line


@dataclass(frozen=True)
class VideoSet:
    """records have `.path` and `.label`; `classes` are their names by label; `source` says what a result on it may be called.

    together: path -> number, of videos that belong together, see `data.groups`. missing: how many videos of the list are not there. untaught: labels
    that no training video has.
    """

    records: list
    classes: list[str]
    source: str
    together: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0
    untaught: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.records)

    def first(self, count: int) -> "VideoSet":
        """The first `count` videos; all of them for 0."""
        return replace(self, records=self.records[: count or None])

    def sample(self, count: int, seed: int = 0) -> "VideoSet":
        """`count` videos from all over the list, in its order; all of them for 0."""
        chosen = np.random.default_rng(seed).permutation(len(self))[: count or None]
        return replace(self, records=[self.records[i] for i in sorted(chosen)])

    @property
    def flaws(self) -> dict[str, int]:
        """How many records are of a class that no training video has, and how many end after their video; only what there is."""
        untaught = sum(record.label in self.untaught for record in self.records)
        past_end = sum(map(_past_end, self.records))
        return {name: count for name, count in (("untaught", untaught), ("past_end", past_end)) if count}

    @property
    def chance(self) -> float:
        """Top-1 of a guess among the classes that occur."""
        return 1 / max(len({record.label for record in self.records}), 1)

    def groups(self, paths: Sequence[str] | None = None) -> Tensor:
        """int64 (N,): the group of each video, or of each of `paths`; a video that belongs to no other is a group of its own."""
        return group_numbers([r.path for r in self.records] if paths is None else paths, self.together)


def _past_end(record) -> bool:
    return hasattr(record, "duration") and record.end > record.duration


def video_splits(
    lists: dict[str, str],
    root: str = "",
    *,
    data: str = "",
    release: str = "kinetics",
    split: int = 1,
    max_bad: int | float | None = None,
    run_dir=None,
    labelled: bool = True,
    **generated,
) -> list[VideoSet]:
    """The videos of each split, in the order of `lists`: {"train": train_csv, "val": val_csv, "test": test_csv}, or some of these.

    Each is a CSV of `path label`, relative paths taken from `root` or its own folder; where the first is given, an empty one is held out of
    it (see `splits.part`), and what was done is printed. Where the first is empty or the name of a generated set all are those of that set, whose
    fields `generated` are: see `embedded`. Class names come from a classes.txt beside the first CSV, one a line, and what belongs together from
    a groups.csv. Where `data` is given, it is the folder of a dataset as released, in the layout `release` and of HMDB51 the `split`; see
    `data.releases`. labelled: whether labels are learned and scored; a video with two of them is refused then, and one that comes twice in a list
    other than the first.
    FormatError for a malformed CSV, UserError where no video exists or lists contradict each other.
    """
    first, csv = next(iter(lists.items()))
    if data:
        given, names = read_release(data, release, split)
        given = {part: given[part] for part in lists}
        classes = _names([some for some in given.values() if some], names, Path(data), Path(data).name)
        together = read_groups(Path(data)) or films(release, [r for some in given.values() for r in some or ()])
        records, missing = _part(given, classes, first, together, max_bad, run_dir)
        source = f"{Path(data).name}, split {split}" if release == "hmdb51" else Path(data).name
    elif embedded.is_generated(csv):
        if other := [file for file in lists.values() if file not in ("", csv)]:
            raise UserError(f"{other[0]}: a list of its own needs a list for {first} too, which has none")
        files = embedded.split_files(csv, list(lists), **generated)
        records = {split: [r for file in some for r in read_records(file)] for split, some in files.items()}
        listed, source = files[first][0], embedded.title(csv)
        missing, together = dict.fromkeys(lists, 0), read_groups(listed.parent)
        classes = _class_names(listed, records.values())
    else:
        listed = Path(csv).with_name("classes.txt")
        names = formats.read_class_names(listed) if listed.exists() else []
        judges = {split: OneLabel(len(names), listed, once=split != "train") if labelled else None for split in lists}
        given = {
            split: read_records(file, root or None, judges[split]) if file else None for split, file in lists.items()
        }
        classes = _names([some for some in given.values() if some], names, listed, Path(csv).name)
        together, source = read_groups(Path(csv).parent, root or None), Path(csv).name
        records, missing = _part(given, classes, first, together, max_bad, run_dir)
    taught = {record.label for record in records[first]}
    untaught = frozenset({record.label for some in records.values() for record in some} - taught)
    return [VideoSet(some, classes, source, together, missing[split], untaught) for split, some in records.items()]


def _part(given: dict, classes: list[str], first: str, together: Mapping, max_bad, run_dir) -> tuple:
    """(records, missing) after `splits.part`, which says what it did."""
    parted = splits.part(given, together=together, max_bad=max_bad, run_dir=run_dir)
    notes = [*parted.notes, *_notes_on_records(parted.records, first, classes)]
    print("".join(f"{one_line(line)}\n" for line in notes), end="")
    return parted.records, parted.missing


def _notes_on_records(records: dict[str, list], first: str, classes: list[str]) -> list[str]:
    """What is worth a word: classes without a training video, and segments that are longer than their video."""
    counts = {split: Counter(record.label for record in some) for split, some in records.items()}
    notes = []
    if untaught := [name for label, name in enumerate(classes) if not counts[first][label]]:
        notes.append(f"{len(untaught)} of {len(classes)} classes have no {first} video, such as {untaught[0]}")
    for split, numbers in counts.items():
        if lacking := sum(number for label, number in numbers.items() if not counts[first][label]):
            notes.append(f"{split}: {lacking} of {len(records[split])} videos are of such classes")
        if late := sum(map(_past_end, records[split])):
            notes.append(
                f"{split}: {late} of {len(records[split])} segments end after their video, and count up to its end"
            )
    return notes


def video_set(split: str, csv: str = "", root: str = "", **generated) -> VideoSet:
    """One list alone: videos of `csv`, or of that split of a generated set; see `video_splits`."""
    return video_splits({split: csv}, root, **generated)[0]


def _class_names(csv: Path, records) -> list[str]:
    listed = csv.with_name("classes.txt")
    return _names(records, formats.read_class_names(listed) if listed.exists() else [], listed, csv.name)


def _names(records, names: list[str], listed: Path, lists: str) -> list[str]:
    """The names, or numbers where there are none; UserError where they are fewer than the labels. listed, lists: what errors call them."""
    count = max((record.label for some in records for record in some), default=-1) + 1
    if names and len(names) < count:
        raise UserError(f"{listed}: {len(names)} names, but {lists} has labels up to {count - 1}")
    return names or [str(label) for label in range(count)]


def zero_shot_set(csv: str = "", root: str = "", *, max_bad: int | float | None = None, run_dir=None, **generated) -> VideoSet:  # fmt: skip
    """Videos of classes that training never named; without `csv` the embedded (shape, action) pairs that no other split shows.

    `classes` may hold more than occur: the embedded ones are all pairs.
    """
    if csv:
        return video_splits({"zero_shot": csv}, root, max_bad=max_bad, run_dir=run_dir)[0]
    folder = embedded.build("", parts=("zero_shot",), **generated)
    names = formats.read_class_names(folder / "zero_shot_classes.txt")
    return VideoSet(read_records(str(folder / "zero_shot.csv")), names, "moving shapes")
