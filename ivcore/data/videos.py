"""The labelled videos of a stage: the user's own Kinetics CSVs, or a generated set where no path is given."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from ivcore.data import embedded, formats, shapes, splits
from ivcore.data.groups import group_numbers, read_groups
from ivcore.data.records import read_records
from ivcore.errors import UserError


@dataclass(frozen=True)
class VideoSet:
    """records have `.path` and `.label`; `classes` are their names by label; `source` says what a result on it may be called.

    together: path -> number, of videos that belong together, see `data.groups`. missing: how many videos of the list are not there.
    """

    records: list
    classes: list[str]
    source: str
    together: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0

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
    def chance(self) -> float:
        """Top-1 of a guess among the classes that occur."""
        return 1 / max(len({record.label for record in self.records}), 1)

    def groups(self, paths: Sequence[str] | None = None) -> Tensor:
        """int64 (N,): the group of each video, or of each of `paths`; a video that belongs to no other is a group of its own."""
        return group_numbers([r.path for r in self.records] if paths is None else paths, self.together)


def video_splits(
    lists: dict[str, str], root: str = "", *, max_bad: int | float | None = None, run_dir=None, **generated
) -> list[VideoSet]:
    """The videos of each split, in the order of `lists`: {"train": train_csv, "val": val_csv, "test": test_csv}, or some of these.

    Each is a CSV of `path label`, relative paths taken from `root` or its own folder; where the first is given, an empty one is held out of
    it (see `splits.part`), and what was done is printed. Where the first is empty or "metaworld" all are those of that generated set, whose
    fields `generated` are: see `embedded`. Class names come from a classes.txt beside the first CSV, one a line, and what belongs together from
    a groups.csv.
    FormatError for a malformed CSV, UserError where no video exists or lists contradict each other.
    """
    name, csv = next(iter(lists.items()))
    if csv in embedded.NAMES:
        if other := [each for each in lists.values() if each not in ("", csv)]:
            raise UserError(f"{other[0]}: a list of its own needs a list for {name} too, which has none")
        files = embedded.split_files(csv, list(lists), **generated)
        read = {split: [r for file in each for r in read_records(str(file))] for split, each in files.items()}
        classes = _class_names(next(iter(files.values()))[0], read.values())
        together = read_groups(next(iter(files.values()))[0].parent)
        return [VideoSet(records, classes, embedded.NAMES[csv], together) for records in read.values()]
    read = {split: read_records(file, root or None) if file else None for split, file in lists.items()}
    classes = _class_names(Path(csv), [each for each in read.values() if each])
    together = read_groups(Path(csv).parent, root or None)
    parted = splits.part(read, together=together, max_bad=max_bad, run_dir=run_dir)
    say = [*parted.said, *_said_of_labels(parted.records, name, classes)]
    print("".join(f"{line}\n" for line in say), end="")
    more = {"classes": classes, "source": Path(csv).name, "together": together}
    return [VideoSet(r, **more, missing=parted.missing[split]) for split, r in parted.records.items()]


def _said_of_labels(records: dict[str, list], first: str, classes: list[str]) -> list[str]:
    """What is worth a word: classes without a training video."""
    counts = {split: Counter(record.label for record in each) for split, each in records.items()}
    said = []
    if unseen := [name for label, name in enumerate(classes) if not counts[first][label]]:
        said.append(f"{len(unseen)} of {len(classes)} classes have no {first} video, such as {unseen[0]}")
    for split, found in counts.items():
        if lacking := sum(number for label, number in found.items() if not counts[first][label]):
            said.append(f"{split}: {lacking} of {len(records[split])} videos are of such classes")
    return said


def video_set(split: str, csv: str = "", root: str = "", **generated) -> VideoSet:
    """One list alone: videos of `csv`, or of that split of a generated set; see `video_splits`."""
    return video_splits({split: csv}, root, **generated)[0]


def _class_names(csv: Path, records) -> list[str]:
    count = max((record.label for each in records for record in each), default=-1) + 1
    listed = csv.with_name("classes.txt")
    names = formats.read_class_names(listed) if listed.exists() else []
    if names and len(names) < count:
        raise UserError(f"{listed}: {len(names)} names, but {csv.name} has labels up to {count - 1}")
    return names or [str(label) for label in range(count)]


def zero_shot_set(csv: str = "", root: str = "", *, max_bad: int | float | None = None, run_dir=None, **generated) -> VideoSet:  # fmt: skip
    """Videos of classes that training never named; without `csv` the embedded (shape, action) pairs that no other split shows.

    `classes` may hold more than occur: the embedded ones are all pairs.
    """
    if csv:
        return video_splits({"zero_shot": csv}, root, max_bad=max_bad, run_dir=run_dir)[0]
    folder = shapes.build(shapes.Shapes(parts=("zero_shot",), **generated))
    names = formats.read_class_names(folder / "zero_shot_classes.txt")
    return VideoSet(read_records(str(folder / "zero_shot.csv")), names, "moving shapes")
