"""The labelled videos of a stage: the user's own Kinetics CSV, or a generated set where no path is given."""

from dataclasses import dataclass
from pathlib import Path

from ivcore.data import embedded, formats, shapes
from ivcore.data.clips import as_records


@dataclass(frozen=True)
class VideoSet:
    """records have `.path` and `.label`; `classes` are their names by label; `source` says what a result on it may be called."""

    records: list
    classes: list[str]
    source: str

    def __len__(self) -> int:
        return len(self.records)

    def first(self, count: int) -> "VideoSet":
        """The first `count` videos; all of them for 0."""
        return VideoSet(self.records[: count or None], self.classes, self.source)


def video_set(split: str, csv: str = "", root: str = "", **generated) -> VideoSet:
    """Videos of `csv` (`path label`), relative paths taken from `root` or the CSV's folder.

    Where `csv` is empty or "metaworld" it is that split of a generated set, whose fields `generated` are: see `embedded`. Class names come
    from a classes.txt beside the CSV, one a line, where there is one. Raises FormatError for a malformed CSV, UserError where no video exists.
    """
    source = embedded.NAMES.get(csv, Path(csv).name)
    if csv in embedded.NAMES:
        file, root = embedded.build(csv, **generated) / f"{split}.csv", ""
    else:
        file = Path(csv)
    records = as_records(str(file), root or None)
    return VideoSet(records, _class_names(file, records), source)


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
