"""Lists of trimmed clips with one label each: Kinetics CSV and its relatives, one clip a line, no header.

Something-Something's original JSON is in `something.py`, known and unknown classes are in `open_set.py`.
"""

import os
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ivcore.data.formats.text import base_folder, each, found, numbered_lines, write_records, written_path
from ivcore.errors import FormatError, VideoError


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    path: str
    label: int


@dataclass(frozen=True, slots=True)
class PretrainVideo:
    """`frames` < 0: a video file, read from the frame `start`; else a folder of frame pictures, of which so many count from `start` on."""

    path: str
    start: int
    frames: int
    label: int

    @property
    def stride(self) -> int | None:
        """2 for Something-Something, whose clips are short, as in the published code; None for whatever the run takes."""
        return 2 if "SomethingV2" in self.path.split(os.sep) else None

    def span(self, length: int) -> tuple[int, int]:
        """The frames [first, stop) of a video of `length` frames. Raises VideoError where it has fewer."""
        stop = length if self.frames < 0 else self.start + self.frames
        if not self.start < stop <= length:
            wanted = f"from {self.start} on" if self.frames < 0 else f"{self.start} to {stop - 1}"
            raise VideoError(self.path, f"the list names frames {wanted}, of {length}")
        return self.start, stop


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """A video unpacked into `frames` pictures, or (in lists made for video files) a file of that many frames."""

    path: str
    frames: int
    label: int


@dataclass(frozen=True, slots=True)
class TimedVideo:
    """One labelled stretch, in seconds, of a longer video of `duration` seconds."""

    path: str
    duration: float
    start: float
    end: float
    label: int


LARGEST_LABEL = 1_000_000  # every class costs a name and a row of the classifier
_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PATH = r"(.*[^\s,])"
_GAP = r"(?:\s*,\s*|\s+)"
_LABEL = r"([0-9]{1,9})"
_KINETICS = re.compile(_PATH + _GAP + _LABEL)
_FRAMES = re.compile(_PATH + _GAP + r"([0-9]{1,9})" + _GAP + _LABEL)
_TIMED = re.compile(_PATH + (_GAP + _NUMBER) * 3 + _GAP + _LABEL)
_PRETRAIN = re.compile(_PATH + r"\s+([0-9]{1,9})\s+(-?[0-9]{1,9})\s+" + _LABEL)
_PRETRAIN_EXTRA = re.compile(r"(\S+)\s+([0-9]{1,9})\s+(-?[0-9]{1,9})\s+(?:\S+\s+)+" + _LABEL)
_ENDS_IN_NUMBER = re.compile(r".*[\s,]-?[0-9.]+")


def read_kinetics_csv(path, root=None) -> list[LabelledVideo]:
    """`path label` or `path,label` (or a TAB between them), label a number from 0, e.g. `abseiling/0347ZoDXyP0.mp4 0`.

    The path may hold blanks and commas: the label is what follows the last separator. Quotes around a path are removed. A list
    with more columns would give wrong paths, so it is refused. VideoMAE and UniFormerV2 read these two variants.
    """
    base = base_folder(path, root)
    return each(path, partial(_kinetics, path, base), numbered_lines(path))


def write_kinetics_csv(path, videos, root=None, separator: str = " ") -> None:
    base = base_folder(path, root)

    def as_line(video):
        return f"{_quoted(written_path(video.path, base))}{separator}{video.label}"

    write_records(path, videos, as_line, lambda number, line: _kinetics(path, base, number, line))


def _kinetics(path, base: str, number: int, line: str) -> LabelledVideo:
    match = _KINETICS.fullmatch(line)
    if match is None:
        raise FormatError(
            path, number, f"expected `path label`, label a whole number from 0, found {found(line)}"
        )
    name, label = match.groups()
    if _ENDS_IN_NUMBER.fullmatch(name):
        raise FormatError(path, number, f"expected two columns, `path label`, found more: {found(line)}")
    return LabelledVideo(_media(base, name), _label(path, number, label))


def read_pretrain_list(path, root=None) -> list[PretrainVideo]:
    """`path start_frame total_frames … label` separated by blanks; total_frames -1 says that path is a video file.

    The pretraining list of VideoMAE's published code; further columns before the label are allowed and not read.
    """
    base = base_folder(path, root)
    return each(path, partial(_pretrain, path, base), numbered_lines(path))


def write_pretrain_list(path, videos, root=None) -> None:
    base = base_folder(path, root)

    def as_line(video):
        return f"{_quoted(written_path(video.path, base))} {video.start} {video.frames} {video.label}"

    write_records(path, videos, as_line, lambda number, line: _pretrain(path, base, number, line))


def _pretrain(path, base: str, number: int, line: str) -> PretrainVideo:
    match = _PRETRAIN_EXTRA.fullmatch(line) or _PRETRAIN.fullmatch(line)
    if match is None:
        expected = "`path start_frame total_frames label`, e.g. `k710/abc.mp4 0 -1 0`"
        raise FormatError(path, number, f"expected {expected}, found {found(line)}")
    name, start, frames, label = match.groups()
    return PretrainVideo(_media(base, name), int(start), int(frames), _label(path, number, label))


PIECE = 300  # frames, into which AVA's videos of fifteen minutes are cut


def is_pretrain_list(path) -> bool:
    """Whether the first line that is one of either is of a pretraining list, and not of a Kinetics CSV."""
    for number, line in numbered_lines(path):
        try:
            _kinetics(path, "", number, line)
        except FormatError:
            if _PRETRAIN_EXTRA.fullmatch(line) or _PRETRAIN.fullmatch(line):
                return True
            continue
        return False
    return False


def read_video_list(path, root=None) -> list[LabelledVideo] | list[PretrainVideo]:
    """A Kinetics CSV, or a pretraining list, by its first line; frame folders of AVA cut every 300 frames, as in the paper.

    The last piece takes what is left over.
    """
    if not is_pretrain_list(path):
        return read_kinetics_csv(path, root)
    return [piece for video in read_pretrain_list(path, root) for piece in _pieces(video)]


def _pieces(video: PretrainVideo) -> list[PretrainVideo]:
    if "AVA" not in video.path.split(os.sep) or video.frames < 2 * PIECE:
        return [video]
    starts = range(video.start, video.start + video.frames - PIECE + 1, PIECE)
    stops = [*starts[1:], video.start + video.frames]
    return [replace(video, start=start, frames=stop - start) for start, stop in zip(starts, stops)]


def read_ssv2_list(path, root=None) -> list[FrameFolder]:
    """`path total_frames label`, e.g. `frames/78687 117 0`: Something-Something lists of VideoMAE and UniFormerV2."""
    base = base_folder(path, root)
    return each(path, partial(_frame_folder, path, base), numbered_lines(path))


def write_ssv2_list(path, videos, root=None) -> None:
    base = base_folder(path, root)

    def as_line(video):
        return f"{_quoted(written_path(video.path, base))} {video.frames} {video.label}"

    write_records(path, videos, as_line, lambda number, line: _frame_folder(path, base, number, line))


def _frame_folder(path, base: str, number: int, line: str) -> FrameFolder:
    match = _FRAMES.fullmatch(line)
    if match is None or int(match[2]) < 1:
        expected = "`path total_frames label`, e.g. `frames/78687 117 0`"
        raise FormatError(path, number, f"expected {expected}, found {found(line)}")
    return FrameFolder(_media(base, match[1]), int(match[2]), _label(path, number, match[3]))


def read_timed_list(path, root=None) -> list[TimedVideo]:
    """`path duration start end label` in seconds, blanks or commas between: UniFormerV2's ActivityNet lists."""
    base = base_folder(path, root)
    return each(path, partial(_timed, path, base), numbered_lines(path))


def write_timed_list(path, videos, root=None) -> None:
    base = base_folder(path, root)

    def as_line(video):
        times = " ".join(f"{float(t)!r}" for t in (video.duration, video.start, video.end))
        return f"{_quoted(written_path(video.path, base))} {times} {video.label}"

    write_records(path, videos, as_line, lambda number, line: _timed(path, base, number, line))


def _timed(path, base: str, number: int, line: str) -> TimedVideo:
    match = _TIMED.fullmatch(line)
    if match is None or not float(match[3]) < float(match[4]):
        expected = "`path duration start end label` in seconds with start < end"
        raise FormatError(path, number, f"expected {expected}, found {found(line)}")
    label = _label(path, number, match[5])
    return TimedVideo(_media(base, match[1]), *map(float, match.groups()[1:4]), label)


def _label(path, number: int, text: str) -> int:
    label = int(text)
    if label > LARGEST_LABEL:
        raise FormatError(
            path, number, f"label {label}: labels count classes from 0, at most to {LARGEST_LABEL}"
        )
    return label


def require_class_names(path, videos: list[LabelledVideo]) -> None:
    """FormatError for a label of a Kinetics CSV that has no name in the classes.txt beside it; nothing where there is no such file."""
    listed = Path(path).with_name("classes.txt")
    if not listed.is_file():
        return
    count = len(read_class_names(listed))
    for place, video in enumerate(videos):
        if video.label >= count:
            number = next(number for i, (number, _) in enumerate(numbered_lines(path)) if i == place)
            raise FormatError(
                path, number, f"label {video.label}: {listed} has {count} names, for labels 0 to {count - 1}"
            )


def read_class_names(path) -> list[str]:
    """One class name a line; the line number minus one is its label (`kinetics_label_map.txt`)."""
    names, seen = [], set()
    for number, line in numbered_lines(path):
        if number != len(names) + 1:
            raise FormatError(path, len(names) + 1, "expected a class name on every line, found a blank line")
        if line in seen:
            raise FormatError(path, number, f"expected every class name once, found {found(line)} again")
        seen.add(line)
        names.append(line)
    return names


def write_class_names(path, names) -> None:
    write_records(path, names, str, lambda number, line: line)


def _media(base: str, name: str) -> str:
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('""', '"')
    return os.path.join(base, name)


def _quoted(name: str) -> str:
    """Quotes a path that would otherwise lose quotes of its own."""
    return '"' + name.replace('"', '""') + '"' if name[:1] == name[-1:] == '"' else name
