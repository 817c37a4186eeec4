"""UCF101's list of classes and HMDB51's split files, as released.

The published recipe of open-set recognition reads flat lists `filename label`. These files count from 1, or mark train / test, and would
silently be taken for class numbers.
"""

import os
import re
from functools import partial

from ivcore.data.formats.lines import LineFormat
from ivcore.data.formats.text import base_folder, numbered_lines
from ivcore.data.formats.trimmed import LabelledVideo
from ivcore.errors import FormatError, shown


def read_ucf_classes(path) -> list[str]:
    """The class names of UCF101's `classInd.txt` in order: lines `1 ApplyEyeMakeup`, counted from 1."""
    names = []
    for number, line in numbered_lines(path):
        match = re.fullmatch(r"([0-9]{1,9})\s+(\S+)", line)
        if match is None or int(match[1]) != len(names) + 1:
            raise FormatError(path, number, f"expected `{len(names) + 1} ClassName`, found {shown(line)}")
        names.append(match[2])
    return names


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
