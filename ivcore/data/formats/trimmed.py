"""Lists of trimmed clips with one label each: Kinetics CSV and similar lists, one clip a line, no header.

Something-Something's original JSON is in `something.py`; known and unknown classes are in `open_set.py`.
"""

import os
import re
from dataclasses import dataclass, replace

from ivcore.data.formats.lines import LineFormat, write_lines
from ivcore.data.formats.text import base_folder, numbered_lines, written_path
from ivcore.errors import FormatError, VideoError, shown


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    path: str
    label: int


@dataclass(frozen=True, slots=True)
class PretrainVideo:
    """frames < 0: a video file, read from the frame `start`; else a folder of frame pictures, `frames` of them from `start`."""

    path: str
    start: int
    frames: int
    label: int

    @property
    def stride(self) -> int | None:
        """2 for Something-Something, whose clips are short, as in the published code; None for the stride of the run."""
        return 2 if "SomethingV2" in self.path.split(os.sep) else None

    def span(self, length: int) -> tuple[int, int]:
        """The frames [first, stop) of a video of `length` frames. Raises VideoError if it has fewer."""
        stop = length if self.frames < 0 else self.start + self.frames
        if not self.start < stop <= length:
            listed = f"from {self.start} on" if self.frames < 0 else f"{self.start} to {stop - 1}"
            raise VideoError(self.path, f"the list names frames {listed}, of {length}")
        return self.start, stop


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """A video as a folder of `frames` pictures, or (in lists made for video files) a file with that many frames."""

    path: str
    frames: int
    label: int

    def span(self, length: int) -> tuple[int, int]:
        """The frames [first, stop) to use. Folder: the first `frames` of its `length` pictures, VideoError if there are fewer. File: all frames,
        since a decoder may count differently from the list."""
        if not os.path.isdir(self.path):
            return 0, length
        if length < self.frames:
            raise VideoError(self.path, f"the list counts {self.frames} frames, {length} are there")
        return 0, self.frames


@dataclass(frozen=True, slots=True)
class TimedVideo:
    """One labelled segment, `start` to `end` in seconds, of a video of `duration` seconds."""

    path: str
    duration: float
    start: float
    end: float
    label: int


LARGEST_LABEL = 1_000_000  # every class costs a name and a row of the classifier
_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PATH = r"(.*[^\s,])"
_GAP = r"(?:\s*,\s*|\s+)"
_COUNT = _LABEL = r"([0-9]{1,9})"
_ENDS_IN_NUMBER = re.compile(r".*[\s,]-?[0-9.]+")


def _label(text: str) -> int:
    if int(text) > LARGEST_LABEL:
        raise ValueError(f"a label from 0, at most {LARGEST_LABEL}")
    return int(text)


def _media(base: str, name: str) -> str:
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('""', '"')
    return os.path.join(base, name)


def _quoted(name: str) -> str:
    """Quotes a path that begins and ends with a quote, so that reading does not remove these."""
    return '"' + name.replace('"', '""') + '"' if name[:1] == name[-1:] == '"' else name


def _labelled(base: str, name: str, label: str) -> LabelledVideo:
    if _ENDS_IN_NUMBER.fullmatch(name):
        raise ValueError("two columns, `path label`")
    return LabelledVideo(_media(base, name), _label(label))


def _pretrain(base: str, name: str, start: str, frames: str, label: str) -> PretrainVideo:
    return PretrainVideo(_media(base, name), int(start), int(frames), _label(label))


def _frame_folder(base: str, name: str, frames: str, label: str) -> FrameFolder:
    return FrameFolder(_media(base, name), int(frames), _label(label))


def _timed(base: str, name: str, duration: str, start: str, end: str, label: str) -> TimedVideo:
    if not float(start) < float(end):
        raise ValueError("start < end")
    if not float(start) < float(duration):
        raise ValueError("a start before the end of the video")
    return TimedVideo(_media(base, name), float(duration), float(start), float(end), _label(label))


# `path label` or `path,label` (or a TAB between them), label a number from 0: `abseiling/0347ZoDXyP0.mp4 0`. The path may contain
# blanks and commas: the label follows the last separator. Quotes around a path are removed. A list with more columns would
# give wrong paths, so it is refused. VideoMAE and UniFormerV2 read these two variants.
KINETICS = LineFormat("`path label`, label a whole number from 0", _labelled, _PATH + _GAP + _LABEL)
# The pretraining list of VideoMAE's published code, separated by blanks; total_frames -1 means that path is a video file. Further
# columns before the label are allowed and ignored.
PRETRAIN = LineFormat(
    "`path start_frame total_frames label`, e.g. `k710/abc.mp4 0 -1 0`",
    _pretrain,
    r"(\S+)\s+([0-9]{1,9})\s+(-?[0-9]{1,9})\s+(?:\S+\s+)+" + _LABEL,
    _PATH + r"\s+([0-9]{1,9})\s+(-?[0-9]{1,9})\s+" + _LABEL,
)
# Something-Something lists of VideoMAE and UniFormerV2.
FRAMES = LineFormat(
    "`path total_frames label`, e.g. `frames/78687 117 0`, total_frames from 1",
    _frame_folder,
    _PATH + _GAP + r"(0*[1-9][0-9]{0,8})" + _GAP + _LABEL,
)
# UniFormerV2's ActivityNet lists, blanks or commas between the columns.
TIMED = LineFormat(
    "`path duration start end label` in seconds with start < end", _timed, _PATH + (_GAP + _NUMBER) * 3 + _GAP + _LABEL
)
read_kinetics_csv, read_pretrain_list = KINETICS.read, PRETRAIN.read
read_ssv2_list, read_timed_list = FRAMES.read, TIMED.read


def write_kinetics_csv(path, videos, root=None, separator: str = " ") -> None:
    base = base_folder(path, root)

    def as_line(video):
        return f"{_quoted(written_path(video.path, base))}{separator}{video.label}"

    KINETICS.write(path, videos, as_line, root)


def write_ssv2_list(path, videos, root=None) -> None:
    base = base_folder(path, root)
    FRAMES.write(path, videos, lambda v: f"{_quoted(written_path(v.path, base))} {v.frames} {v.label}", root)


def write_timed_list(path, videos, root=None, separator: str = " ") -> None:
    base = base_folder(path, root)

    def as_line(video: TimedVideo) -> str:
        seconds = map(float, (video.duration, video.start, video.end))
        return separator.join([_quoted(written_path(video.path, base)), *map(str, seconds), str(video.label)])

    TIMED.write(path, videos, as_line, root)


PIECE = 300  # frames of a piece of AVA's videos, which last fifteen minutes


def is_pretrain_list(path) -> bool:
    """Whether the first line that fits one of the two formats is of a pretraining list, not of a Kinetics CSV."""
    for number, line in numbered_lines(path):
        try:
            KINETICS.parse(path, "", number, line)
        except FormatError:
            if PRETRAIN.matches(line):
                return True
            continue
        return False
    return False


def read_video_list(path, root=None, judge=None) -> list[LabelledVideo] | list[PretrainVideo]:
    """Reads a Kinetics CSV or a pretraining list; the first line decides. Cuts frame folders of AVA every 300 frames, as in the paper.

    The last piece also takes the rest. judge: as in `LineFormat.read`.
    """
    if not is_pretrain_list(path):
        return read_kinetics_csv(path, root, judge)
    return [piece for video in read_pretrain_list(path, root, judge) for piece in _pieces(video)]


def _pieces(video: PretrainVideo) -> list[PretrainVideo]:
    if "AVA" not in video.path.split(os.sep) or video.frames < 2 * PIECE:
        return [video]
    starts = range(video.start, video.start + video.frames - PIECE + 1, PIECE)
    stops = [*starts[1:], video.start + video.frames]
    return [replace(video, start=start, frames=stop - start) for start, stop in zip(starts, stops)]


def read_class_names(path) -> list[str]:
    """One class name a line; its label is the line number minus one (`kinetics_label_map.txt`)."""
    names, earlier = [], set()
    for number, line in numbered_lines(path):
        if number != len(names) + 1:
            raise FormatError(path, len(names) + 1, "expected a class name on every line, found a blank line")
        if line in earlier:
            raise FormatError(path, number, f"expected every class name once, found {shown(line)} again")
        earlier.add(line)
        names.append(line)
    return names


def write_class_names(path, names) -> None:
    write_lines(path, names, str, lambda number, line: line)
