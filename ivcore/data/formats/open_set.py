"""Known and unknown classes for open-set recognition: UCF101 as known, HMDB51 or MiT-v2 as unknown.

The published recipe reads flat lists `filename label`; the two sets' own split files are read here too, since their labels
count differently (from 1, or as train / test marks) and would be taken for class numbers without notice.
"""

import os
import re
from dataclasses import dataclass
from functools import partial

from ivcore.data.formats.text import base_folder, each, found, numbered_lines, write_text
from ivcore.data.formats.trimmed import LabelledVideo, read_kinetics_csv, write_kinetics_csv
from ivcore.errors import FormatError


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


def write_open_set(known, unknown, videos) -> None:
    for path, wanted in ((known, True), (unknown, False)):
        write_kinetics_csv(path, [LabelledVideo(v.path, v.label) for v in videos if v.known is wanted])


def read_ucf_classes(path) -> list[str]:
    """UCF101's `classInd.txt`, lines `1 ApplyEyeMakeup` that count from 1 -> names in order."""
    names = []
    for number, line in numbered_lines(path):
        match = re.fullmatch(r"([0-9]+)\s+(\S+)", line)
        if match is None or int(match[1]) != len(names) + 1:
            raise FormatError(path, number, f"expected `{len(names) + 1} ClassName`, found {found(line)}")
        names.append(match[2])
    return names


def read_ucf_split(path, classes, root=None) -> list[LabelledVideo]:
    """UCF101's `trainlist01.txt` (`Class/name.avi 1`) or `testlist01.txt` (`Class/name.avi`); the label comes from the folder.

    classes: path of `classInd.txt`. A number in the line must be that of the folder.
    """
    numbers = {name: index for index, name in enumerate(read_ucf_classes(classes))}
    base = base_folder(path, root)
    return each(path, partial(_ucf_video, path, base, numbers), numbered_lines(path))


def _ucf_video(path, base: str, numbers: dict[str, int], number: int, line: str) -> LabelledVideo:
    match = re.fullmatch(r"(([^/\s]+)/\S+)(?:\s+([0-9]+))?", line)
    label = numbers.get(match[2]) if match else None
    if label is None or match[3] not in (None, str(label + 1)):
        expected = "`ClassName/video.avi` of a known class, with no number or the class's own, from 1"
        raise FormatError(path, number, f"expected {expected}, found {found(line)}")
    return LabelledVideo(os.path.join(base, match[1]), label)


_HMDB_MARK = {"0": None, "1": "train", "2": "test"}


def read_hmdb_splits(folder, split: int = 1, part: str = "test", root=None) -> list[LabelledVideo]:
    """HMDB51's folder of `<class>_test_split<n>.txt`, lines `name.avi 1` with 0 unused, 1 train, 2 test.

    Labels are the classes by alphabet; a video is `<root>/<class>/<name>`.
    """
    ending = f"_test_split{split}.txt"
    try:
        classes = sorted(name.removesuffix(ending) for name in os.listdir(folder) if name.endswith(ending))
    except OSError as error:
        raise FormatError(folder, None, f"cannot be read: {error.strerror or error}") from None
    if not classes:
        raise FormatError(folder, None, f"expected files named <class>{ending}, found none")
    videos = []
    for label, name in enumerate(classes):
        file = os.path.join(folder, name + ending)
        base = os.path.join(base_folder(file, root), name)
        for video, mark in each(file, partial(_hmdb_line, file), numbered_lines(file)):
            if mark == part:
                videos.append(LabelledVideo(os.path.join(base, video), label))
    return videos


def _hmdb_line(path, number: int, line: str) -> tuple[str, str | None]:
    name, _, mark = line.rpartition(" ")
    if mark not in _HMDB_MARK or not name.strip():
        raise FormatError(path, number, f"expected `name.avi 0`, 1 (train) or 2 (test), found {found(line)}")
    return name.strip(), _HMDB_MARK[mark]


def write_hmdb_splits(folder, split: int, marks: dict[str, dict[str, str | None]]) -> None:
    """marks: class -> {video name: "train", "test" or None}."""
    code = {part: mark for mark, part in _HMDB_MARK.items()}
    for name, videos in marks.items():
        lines = [f"{video} {code[part]} \n" for video, part in videos.items()]
        write_text(os.path.join(folder, f"{name}_test_split{split}.txt"), "".join(lines))
