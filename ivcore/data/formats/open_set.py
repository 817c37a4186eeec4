"""Known and unknown classes for open-set recognition: UCF101 as known, HMDB51 or MiT-v2 as unknown.

The published recipe reads flat lists `filename label`. The two sets' own split files have readers here, too, because their labels
differ (they count from 1, or mark train / test) and would silently be taken for class numbers.
"""

import os
import re
from dataclasses import dataclass
from functools import partial

from ivcore.data.formats.lines import LineFormat
from ivcore.data.formats.text import base_folder, numbered_lines
from ivcore.data.formats.trimmed import LabelledVideo, read_kinetics_csv
from ivcore.errors import FormatError, shown


@dataclass(frozen=True, slots=True)
class OpenSetVideo:
    """`label` counts within the known classes, or within the unknown ones."""

    path: str
    label: int
    known: bool


def read_open_set(known, unknown, known_root=None, unknown_root=None) -> list[OpenSetVideo]:
    """The clips of a list of known and of a list of unknown classes, each of lines `filename label` with labels from 0.

    Example: `v_ApplyEyeMakeup_g08_c01.avi 0` in `ucf101_val_split_1_videos.txt`.
    """
    of_known = [OpenSetVideo(v.path, v.label, True) for v in read_kinetics_csv(known, known_root)]
    return of_known + [OpenSetVideo(v.path, v.label, False) for v in read_kinetics_csv(unknown, unknown_root)]


def read_ucf_classes(path) -> list[str]:
    """The class names of UCF101's `classInd.txt` in order: lines `1 ApplyEyeMakeup`, counted from 1."""
    names = []
    for number, line in numbered_lines(path):
        match = re.fullmatch(r"([0-9]{1,9})\s+(\S+)", line)
        if match is None or int(match[1]) != len(names) + 1:
            raise FormatError(path, number, f"expected `{len(names) + 1} ClassName`, found {shown(line)}")
        names.append(match[2])
    return names


def read_ucf_split(path, classes, root=None) -> list[LabelledVideo]:
    """UCF101's `trainlist01.txt` (`Class/name.avi 1`) or `testlist01.txt` (`Class/name.avi`); the label comes from the folder.

    classes: path of `classInd.txt`. A number in the line must be that of the folder.
    """
    numbers = {name: index for index, name in enumerate(read_ucf_classes(classes))}

    def video(base: str, file: str, folder: str, number: str | None) -> LabelledVideo:
        label = numbers.get(folder)
        if label is None or number not in (None, str(label + 1)):
            raise ValueError(expected)
        return LabelledVideo(os.path.join(base, file), label)

    expected = "`ClassName/video.avi` of a known class, with no number or the class's own, from 1"
    return LineFormat(expected, video, r"(([^/\s]+)/\S+)(?:\s+([0-9]+))?").read(path, root)


_HMDB_MARK = {"0": None, "1": "train", "2": "test"}
HMDB = LineFormat(
    "`name.avi 0`, 1 (train) or 2 (test)", lambda base, name, mark: (name, _HMDB_MARK[mark]), r"(.*\S)\s*\s([012])"
)
_HMDB_FILE = re.compile(r"(.+)_test_split([0-9]+)\.txt")


def _once(earlier: dict[str, int], number: int, row: tuple) -> str:
    line = earlier.setdefault(row[0], number)
    return f"the same video as in line {line}" if line != number else ""


def read_hmdb_splits(folder, split: int = 1, part: str = "test", root=None) -> list[LabelledVideo]:
    """HMDB51's folder of `<class>_test_split<n>.txt`, with lines `name.avi 1`: 0 unused, 1 train, 2 test.

    Labels number the classes in alphabetical order; a video is `<root>/<class>/<name>`. FormatError also for a class that only another split has,
    because it would shift the labels after it.
    """
    ending = f"_test_split{split}.txt"
    try:
        matches = [match for name in sorted(os.listdir(folder)) if (match := _HMDB_FILE.fullmatch(name))]
    except OSError as error:
        raise FormatError(folder, None, f"cannot be read: {error.strerror or error}") from None
    classes = sorted(match[1] for match in matches if match[2] == str(split))
    if not classes:
        raise FormatError(folder, None, f"expected files named <class>{ending}, found none")
    if lacking := [match for match in matches if match[1] not in classes]:
        raise FormatError(folder, None, f"expected {lacking[0][1]}{ending}, since {lacking[0][0]} is there")
    videos = []
    for label, name in enumerate(classes):
        file = os.path.join(folder, name + ending)
        base = os.path.join(base_folder(file, root), name)
        marked = HMDB.read(file, judge=partial(_once, {}))
        videos += [LabelledVideo(os.path.join(base, v), label) for v, mark in marked if mark == part]
    return videos
