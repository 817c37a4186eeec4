"""AVA: boxes with actions on keyframes one second apart, in CSV without a header, and the list of actions in .pbtxt.

-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from ivcore.data.formats.lines import LineFormat
from ivcore.data.formats.text import read_text
from ivcore.errors import FormatError, shown
from ivcore.files import write_text


@dataclass(frozen=True, slots=True)
class AvaBox:
    """One action of one person. box: x1, y1, x2, y2 as shares of the frame; timestamp: in seconds of the whole video.

    `person` is None in files without that column.
    """

    video_id: str
    timestamp: float
    box: tuple[float, float, float, float]
    action: int
    person: int | None = None


@dataclass(frozen=True, slots=True)
class AvaAction:
    id: int
    name: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class PersonBox:
    """A detector's result on a keyframe: a box as shares of the frame, and the score that a person is in it."""

    video_id: str
    timestamp: float
    box: tuple[float, float, float, float]
    score: float


_SEP, _NUMBER = r"\s*,\s*", r"([0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?)"
_VIDEO = r"([^,]*[^,\s])"
_STAMP = r"([0-9]+(?:\.[0-9]+)?)"
_COMMON = _VIDEO + _SEP + _STAMP + (_SEP + _NUMBER) * 4 + _SEP + r"([1-9][0-9]*)"


def _corners(cells) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = map(float, cells)
    if not (0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1):
        mistake = "in pixels" if max(x1, y1, x2, y2) > 1 else "with its corners swapped"
        raise ValueError(f"0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1, shares of the picture (this box is {mistake})")
    return x1, y1, x2, y2


def _box_of_person(base: str, *cells: str, known: Collection[int] | None = None) -> AvaBox | None:
    """The box of a line, or None for a keyframe that is listed without a person."""
    if not cells:
        return None
    video, timestamp, *corners, action, person = cells
    box = AvaBox(video, float(timestamp), _corners(corners), int(action), None if person is None else int(person))
    if known is not None and box.action not in known:
        raise ValueError(f"an action_id of the list of actions, which has no {box.action}")
    return box


def _person(base: str, video: str, timestamp: str, *cells: str) -> PersonBox:
    return PersonBox(video, float(timestamp), _corners(cells[:4]), float(cells[4]))


def _boxes(known: Collection[int] | None = None) -> LineFormat:
    return LineFormat(
        "`video_id,timestamp,x1,y1,x2,y2,action_id,person_id` with action_id from 1",
        partial(_box_of_person, known=known),
        _COMMON + f"(?:{_SEP}([0-9]+))?",
        r"[^,]*[^,\s],[^,]+(?:,\s*){5,6}",
    )


BOXES = _boxes()
PEOPLE = LineFormat(
    "`video_id,timestamp,x1,y1,x2,y2,action_id,score`, where a detector of people leaves action_id empty",
    _person,
    _VIDEO + _SEP + _STAMP + (_SEP + _NUMBER) * 4 + rf"{_SEP}[0-9]*{_SEP}{_NUMBER}",
)
EXCLUDED = LineFormat(
    "`video_id,timestamp`", lambda base, video, timestamp: (video, float(timestamp)), _VIDEO + _SEP + _STAMP
)


def read_ava_csv(path, known: Collection[int] | None = None) -> list[AvaBox]:
    """`video_id,timestamp,x1,y1,x2,y2,action_id,person_id`; keyframes listed without a person (empty columns) give no box.

    known: the valid action_ids; a line with another one is malformed. AVA-Kinetics uses the same CSV.
    """
    return [box for box in _boxes(known).read(path) if box is not None]


def write_ava_csv(path, boxes) -> None:
    def as_line(box: AvaBox) -> str:
        person = [] if box.person is None else [box.person]
        corners = [float(corner) for corner in box.box]
        return ",".join(map(str, [box.video_id, _stamp(box.timestamp), *corners, box.action, *person]))

    BOXES.write(path, boxes, as_line)


def _stamp(seconds: float) -> str:
    """The seconds as text; whole seconds have four digits, as released."""
    return f"{int(seconds):04d}" if seconds == int(seconds) else repr(float(seconds))


def read_ava_excluded(path) -> list[tuple[str, float]]:
    """`video_id,timestamp` of the keyframes that evaluation leaves out. The file may be empty."""
    return EXCLUDED.read(path) if read_text(path).strip() else []


def write_ava_excluded(path, keyframes) -> None:
    EXCLUDED.write(path, keyframes, lambda keyframe: f"{keyframe[0]},{_stamp(keyframe[1])}")


def read_ava_actions(path) -> list[AvaAction]:
    """The actions, in the order of the file: blocks `label {…}` with name, label_id, label_type, or `item {…}` with name, id."""
    text = read_text(path)
    actions, end = [], 0
    for match in _BLOCK.finditer(text):
        _only_blank(path, text, end, match.start())
        actions.append(_action(path, text.count("\n", 0, match.start()) + 1, match[1]))
        end = match.end()
    _only_blank(path, text, end, len(text))
    if not actions:
        raise FormatError(path, None, 'expected blocks like `label { name: "stand" label_id: 12 }`, found none')
    return actions


_BLOCK = re.compile(r"(?:label|item)\s*\{((?:[^{}\"]|\"[^\"\n]*\")*)\}")


def _only_blank(path, text: str, start: int, stop: int) -> None:
    rest = text[start:stop].strip()
    if rest:
        line = text.count("\n", 0, text.index(rest, start)) + 1
        raise FormatError(path, line, f'expected `label {{ name: "…" label_id: N }}`, found {shown(rest)}')


def _action(path, line: int, block: str) -> AvaAction:
    name = re.search(r'\bname\s*:\s*"([^"\n]*)"', block)
    number = re.search(r"\b(?:label_)?id\s*:\s*([0-9]{1,9})(?![0-9])", re.sub(r'"[^"\n]*"', '""', block))
    if name is None or number is None or int(number[1]) < 1:
        raise FormatError(path, line, 'expected name: "…" and label_id (or id) from 1 in this block')
    kind = re.search(r"\blabel_type\s*:\s*(\w+)", block)
    return AvaAction(int(number[1]), name[1], kind and kind[1])


def write_ava_actions(path, actions) -> None:
    def block(action: AvaAction) -> str:
        kind = "" if action.kind is None else f"  label_type: {action.kind}\n"
        return f'label {{\n  name: "{action.name}"\n  label_id: {action.id}\n{kind}}}\n'

    for action in actions:
        if '"' in action.name or "\n" in action.name:
            raise FormatError(path, None, f"cannot be written so that it reads back: {shown(action)}")
    write_text(path, "".join(map(block, actions)))
