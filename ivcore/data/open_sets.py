"""Videos of known classes, and of unknown classes that a model never sees (paper 4.3.3): UCF101 is known, HMDB51 or MiT-v2 unknown.

Without files the moving shapes are known. Two sets are unknown: further actions of the same shapes, and creatures, with 16 of their 30
actions for validation and 14 for the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ivcore.data import creatures, embedded, formats, rendered
from ivcore.data.identity import video_keys
from ivcore.data.records import read_records
from ivcore.data.videos import VideoSet, video_set, video_splits
from ivcore.errors import ParameterError, UserError

LISTS = "train_csv", "val_csv", "test_csv"
SIBLINGS = "*/*_val_split_1_videos.txt"  # the list of each set in a release
FOR_CHOICES = 16  # validation actions among the creatures' 30; an action and its reversal are on the same side
CHOICES, FURTHER, CREATURES = "creatures to choose on", "further actions", "creatures"


@dataclass(frozen=True)
class OpenSets:
    """train, val and test are videos of the known classes. unknown: name -> test videos. val_unknown: validation videos of other classes, or None.

    Labels of unknown videos number the classes of their own set.
    """

    train: VideoSet
    val: VideoSet
    test: VideoSet
    unknown: dict[str, VideoSet]
    val_unknown: VideoSet | None

    @property
    def source(self) -> str:
        return self.train.source

    @property
    def parts(self) -> dict[str, VideoSet]:
        """All sets by name: train, val, test, val_unknown if there is one, and the unknown sets by their names."""
        chosen_on = {"val_unknown": self.val_unknown} if self.val_unknown else {}
        return {"train": self.train, "val": self.val, "test": self.test, **chosen_on, **self.unknown}


def open_sets(params: Mapping, run_dir=None) -> OpenSets:
    """The videos that a notebook's parameters name: `data` (a released folder), the lists, or the generated sets.

    ParameterError for a missing list, FormatError for a malformed one, UserError if a video is both known and unknown or too many are missing.
    """
    reading = {"max_bad": params["max_bad"], "run_dir": run_dir}
    if params["data"]:
        return _released(Path(params["data"]), reading)
    given = [name for name in (*LISTS, "unknown_csv", "val_unknown_csv") if params[name]]
    if not given:
        return _embedded(params["num_clips"], params["num_unknown"])
    if lacking := [name for name in ("train_csv", "unknown_csv") if name not in given]:
        raise ParameterError(f"{lacking[0]}: {given[0]} of your own needs it, too")
    known = video_splits({name.partition("_")[0]: params[name] for name in LISTS}, params["video_root"], **reading)
    unknown, val_unknown = (
        _unknown(params[name], params["unknown_root"], reading) for name in ("unknown_csv", "val_unknown_csv")
    )
    return _apart(OpenSets(*known, {Path(params["unknown_csv"]).stem: unknown}, val_unknown))


def _unknown(csv: str, root: str, reading: Mapping) -> VideoSet | None:
    return video_set("unknown", csv, root, **reading) if csv else None


def _released(folder: Path, reading: Mapping) -> OpenSets:
    known = video_splits({"train": "", "val": "", "test": ""}, data=str(folder), release="ucf101", **reading)
    lists = {file.parent: file for file in sorted(folder.glob(SIBLINGS)) if file.parent.name != "ucf101"}
    if len(every := sorted(folder.glob(SIBLINGS))) > len({file.parent for file in every}):
        twice = next(file for file in every if sum(other.parent == file.parent for other in every) > 1)
        raise ParameterError(f"data = {str(folder)!r}: {twice.parent.name} has several lists {SIBLINGS}; one is needed")
    if not lists:
        raise ParameterError(
            f"data = {str(folder)!r}: has no list of unknown classes, such as hmdb51/hmdb51_val_split_1_videos.txt"
        )
    if bare := [place for place in sorted(folder.glob("*/videos")) if place.parent not in (folder / "ucf101", *lists)]:
        place = bare[0].parent
        raise ParameterError(
            f"data = {str(folder)!r}: {place.name}/videos is there, {place.name}_val_split_1_videos.txt is not"
        )
    unknown = {place.name: _unknown(str(file), str(place / "videos"), reading) for place, file in lists.items()}
    return _apart(OpenSets(*known, unknown, None))


def _apart(sets: OpenSets) -> OpenSets:
    """Returns the same sets. UserError if a video is both known and unknown."""
    known, unknown = [], []
    for name, part in sets.parts.items():
        (known if name in ("train", "val", "test") else unknown).extend(record.path for record in part.records)
    keys = video_keys([*known, *unknown])
    taken = {keys[path] for path in known}
    if both := [path for path in unknown if keys[path] in taken]:
        raise UserError(
            f"{both[0]}: is known and unknown, as {len(both)} videos of both lists are; take them out of one"
        )
    return sets


def _embedded(num_clips: int, num_unknown: int) -> OpenSets:
    parts = "clips", "further_test", "open_set"
    known = video_splits({"train": "", "val": "", "test": ""}, parts=parts, train=num_clips)
    folder = embedded.build("", parts=parts, train=num_clips)
    names = formats.read_class_names(folder / "unknown_classes.txt")
    further = VideoSet(read_records(folder / "unknown_test.txt"), names, FURTHER).sample(num_unknown)
    drawn = rendered.build(creatures, rendered.configure(creatures, train=0, val=2 * num_unknown, test=2 * num_unknown))
    val, test = (read_records(drawn / f"{part}.csv") for part in ("val", "test"))
    return OpenSets(*known, {FURTHER: further, CREATURES: _of_classes(test, range(FOR_CHOICES, len(creatures.CLASSES)), CREATURES)},
                    _of_classes(val, range(FOR_CHOICES), CHOICES))  # fmt: skip


def _of_classes(videos: list, labels: range, name: str) -> VideoSet:
    """The videos of creatures whose label is in `labels`, renumbered from 0."""
    records = [replace(video, label=video.label - labels.start) for video in videos if video.label in labels]
    return VideoSet(records, [creatures.CLASSES[label] for label in labels], name)
