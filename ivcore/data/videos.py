"""The labelled videos of a stage: the user's own Kinetics CSV, or a generated set where no path is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from ivcore.data import embedded, formats, shapes
from ivcore.data.clips import as_records
from ivcore.data.groups import group_numbers, read_groups


@dataclass(frozen=True)
class VideoSet:
    """records have `.path` and `.label`; `classes` are their names by label; `source` says what a result on it may be called.

    together: path -> number, of videos that belong together, see `data.groups`.
    """

    records: list
    classes: list[str]
    source: str
    together: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def first(self, count: int) -> "VideoSet":
        """The first `count` videos; all of them for 0."""
        return replace(self, records=self.records[: count or None])

    def groups(self, paths: Sequence[str] | None = None) -> Tensor:
        """int64 (N,): the group of each video, or of each of `paths`; a video that belongs to no other is a group of its own."""
        return group_numbers([r.path for r in self.records] if paths is None else paths, self.together)


def video_set(split: str, csv: str = "", root: str = "", **generated) -> VideoSet:
    """Videos of `csv` (`path label`), relative paths taken from `root` or the CSV's folder.

    Where `csv` is empty or "metaworld" it is that split of a generated set, whose fields `generated` are: see `embedded`. Class names come
    from a classes.txt beside the CSV, one a line, where there is one, and groups from a groups.csv. Raises FormatError for a malformed CSV, UserError where no video exists.
    """
    source = embedded.NAMES.get(csv, Path(csv).name)
    if csv in embedded.NAMES:
        file, root = embedded.build(csv, **generated) / f"{split}.csv", ""
    else:
        file = Path(csv)
    records = as_records(str(file), root or None)
    return VideoSet(records, _class_names(file, records), source, read_groups(file.parent, root or None))


def _class_names(csv: Path, records: list) -> list[str]:
    count = max((record.label for record in records), default=-1) + 1
    listed = csv.with_name("classes.txt")
    names = formats.read_class_names(listed) if listed.exists() else []
    return names if len(names) >= count else [str(label) for label in range(count)]


def zero_shot_set(csv: str = "", root: str = "", **generated) -> VideoSet:
    """Videos of classes that training never named; without `csv` the embedded (shape, action) pairs that no other split shows.

    `classes` may hold more than occur: the embedded ones are all pairs.
    """
    if csv:
        return video_set("zero_shot", csv, root)
    folder = shapes.build(shapes.Shapes(parts=("zero_shot",), **generated))
    names = formats.read_class_names(folder / "zero_shot_classes.txt")
    return VideoSet(as_records(str(folder / "zero_shot.csv")), names, "moving shapes")
