"""The labelled videos of a stage: the user's own Kinetics CSVs, a released dataset, or a generated set if no path is given."""

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
    """records have `.path` and `.label`; `classes` are the class names by label; `source` is the name of the set in results.

    together: path -> number of its group, see `data.groups`. missing: number of listed videos whose file does not exist. untaught: labels
    without a training video.
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
        """The first `count` videos; 0 means all."""
        return replace(self, records=self.records[: count or None])

    def sample(self, count: int, seed: int = 0) -> "VideoSet":
        """`count` randomly chosen videos, in the order of the list; 0 means all."""
        chosen = np.random.default_rng(seed).permutation(len(self))[: count or None]
        return replace(self, records=[self.records[i] for i in sorted(chosen)])

    @property
    def flaws(self) -> dict[str, int]:
        """untaught: number of records of a class without a training video. past_end: number of segments that end after their video. No zeros."""
        untaught = sum(record.label in self.untaught for record in self.records)
        past_end = sum(map(_past_end, self.records))
        return {name: count for name, count in (("untaught", untaught), ("past_end", past_end)) if count}

    @property
    def chance(self) -> float:
        """Top-1 accuracy of guessing among the classes that occur."""
        return 1 / max(len({record.label for record in self.records}), 1)

    @property
    def commonest(self) -> int:
        """The label that most records have; of equals the lowest, 0 of no records."""
        counts = Counter(record.label for record in self.records)
        return min(counts, key=lambda label: (-counts[label], label), default=0)

    def groups(self, paths: Sequence[str] | None = None) -> Tensor:
        """int64 (N,): the group of each video, or of each of `paths`; a video without a group gets a number of its own."""
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

    Each is a CSV of `path label`, with paths relative to `root` or its own folder. If the first is given, an empty one is held out of it (see
    `splits.part`), and this is printed. If the first is empty or names a generated set, all splits come from that set; `generated` are its
    fields, see `embedded`. Class names come from a classes.txt beside the first CSV, one a line, and groups from a groups.csv.
    data: folder of a released dataset in the layout `release`, for HMDB51 with the number `split`; see `data.releases`. labelled: whether labels
    are learned and scored; then a video with two labels is an error, and one repeated in a list other than train.
    FormatError for a malformed CSV, UserError if no video exists or lists contradict each other.
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
    """Returns (records, missing) of `splits.part`, and prints its notes."""
    parted = splits.part(given, together=together, max_bad=max_bad, run_dir=run_dir)
    notes = [*parted.notes, *_notes_on_records(parted.records, first, classes)]
    print("".join(f"{one_line(line)}\n" for line in notes), end="")
    return parted.records, parted.missing


def _notes_on_records(records: dict[str, list], first: str, classes: list[str]) -> list[str]:
    """Notes for the user: classes without a training video, and segments that end after their video."""
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
    """A single split: the videos of `csv`, or of this split of a generated set; see `video_splits`."""
    return video_splits({split: csv}, root, **generated)[0]


def _class_names(csv: Path, records) -> list[str]:
    listed = csv.with_name("classes.txt")
    return _names(records, formats.read_class_names(listed) if listed.exists() else [], listed, csv.name)


def _names(records, names: list[str], listed: Path, lists: str) -> list[str]:
    """The names, or numbers if there are none. UserError if there are fewer names than labels. listed, lists: the two files' names in errors."""
    count = max((record.label for some in records for record in some), default=-1) + 1
    if names and len(names) < count:
        raise UserError(f"{listed}: {len(names)} names, but {lists} has labels up to {count - 1}")
    return names or [str(label) for label in range(count)]


def zero_shot_set(csv: str = "", root: str = "", *, max_bad: int | float | None = None, run_dir=None, **generated) -> VideoSet:  # fmt: skip
    """Videos of classes that are not in training; without `csv`, moving shapes with (shape, action) pairs that no other split shows.

    `classes` may have more than occur: for the moving shapes, all pairs.
    """
    if csv:
        return video_splits({"zero_shot": csv}, root, max_bad=max_bad, run_dir=run_dir)[0]
    folder = embedded.build("", parts=("zero_shot",), **generated)
    names = formats.read_class_names(folder / "zero_shot_classes.txt")
    return VideoSet(read_records(str(folder / "zero_shot.csv")), names, "moving shapes")
