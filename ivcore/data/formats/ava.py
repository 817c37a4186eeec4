"""AVA: boxes with actions on keyframes one second apart, in CSV without header, and the list of actions in .pbtxt.

-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1
"""

import re
from dataclasses import dataclass
from functools import partial

from ivcore.data.formats.text import each, found, numbered_lines, read_text, write_records, write_text
from ivcore.errors import FormatError


@dataclass(frozen=True, slots=True)
class AvaBox:
    """One action of one person: box as x1, y1, x2, y2 in shares of the frame, `timestamp` in seconds of the whole video.

    `person` is None in files without that column; `score` only stands in predictions.
    """

    video_id: str
    timestamp: float
    box: tuple[float, float, float, float]
    action: int
    person: int | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class AvaAction:
    id: int
    name: str
    kind: str | None = None


def read_ava_csv(path) -> list[AvaBox]:
    """`video_id,timestamp,x1,y1,x2,y2,action_id,person_id`; keyframes listed without a person (empty columns) give no box."""
    boxes = each(path, partial(_box, path, scored=False), numbered_lines(path))
    return [box for box in boxes if box is not None]


def read_ava_predictions(path) -> list[AvaBox]:
    """`video_id,timestamp,x1,y1,x2,y2,action_id,score`: what detectors write and the official evaluation reads."""
    return each(path, partial(_box, path, scored=True), numbered_lines(path))


_SEP, _NUMBER = r"\s*,\s*", r"([0-9.]+(?:[eE][-+]?[0-9]+)?)"
_STAMP = r"([0-9]+(?:\.[0-9]+)?)"
_COMMON = r"([^,]*[^,\s])" + _SEP + _STAMP + (_SEP + _NUMBER) * 4 + _SEP + r"([1-9][0-9]*)"
_PERSON = re.compile(_COMMON + f"(?:{_SEP}([0-9]+))?")
_SCORE = re.compile(_COMMON + _SEP + r"(-?[0-9.]+(?:[eE][-+]?[0-9]+)?)")
_NOBODY = re.compile(r"[^,]*[^,\s],[^,]+(,\s*){5,6}")


def _box(path, number: int, line: str, scored: bool) -> AvaBox | None:
    match = (_SCORE if scored else _PERSON).fullmatch(line)
    if match is None:
        if not scored and _NOBODY.fullmatch(line):
            return None
        columns = "`video_id,timestamp,x1,y1,x2,y2,action_id," + ("score`" if scored else "person_id`")
        raise FormatError(path, number, f"expected {columns} with action_id from 1, found {found(line)}")
    video, timestamp, *corners, action, last = match.groups()
    try:
        box = x1, y1, x2, y2 = tuple(map(float, corners))
        timestamp, score = float(timestamp), float(last) if scored else None
    except ValueError:
        raise FormatError(
            path, number, f"expected numbers in the columns 2 to 6, found {found(line)}"
        ) from None
    if not (0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1):
        raise FormatError(
            path, number, f"expected 0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1, found {found(line)}"
        )
    return AvaBox(video, timestamp, box, int(action), int(last) if last and not scored else None, score)


def write_ava_csv(path, boxes) -> None:
    write_records(path, boxes, _line, lambda number, line: _box(path, number, line, scored=False))


def write_ava_predictions(path, boxes) -> None:
    write_records(path, boxes, _line, lambda number, line: _box(path, number, line, scored=True))


def _line(box: AvaBox) -> str:
    last = (
        []
        if box.person is None and box.score is None
        else [box.person if box.score is None else float(box.score)]
    )
    corners = [float(corner) for corner in box.box]
    return ",".join(map(str, [box.video_id, _stamp(box.timestamp), *corners, box.action, *last]))


def _stamp(seconds: float) -> str:
    """Whole seconds with four digits, as released."""
    return f"{int(seconds):04d}" if seconds == int(seconds) else repr(float(seconds))


def read_ava_excluded(path) -> list[tuple[str, float]]:
    """`video_id,timestamp` of keyframes that the evaluation leaves out. The file may be empty: nothing is left out."""
    if not read_text(path).strip():
        return []
    return each(path, partial(_keyframe, path), numbered_lines(path))


def _keyframe(path, number: int, line: str) -> tuple[str, float]:
    match = re.fullmatch(r"([^,]*[^,\s])" + _SEP + _STAMP, line)
    if match is None:
        raise FormatError(path, number, f"expected `video_id,timestamp`, found {found(line)}")
    return match[1], float(match[2])


def write_ava_excluded(path, keyframes) -> None:
    def as_line(keyframe):
        return f"{keyframe[0]},{_stamp(keyframe[1])}"

    write_records(path, keyframes, as_line, lambda number, line: _keyframe(path, number, line))


def read_ava_actions(path) -> list[AvaAction]:
    """The action list: blocks `label {…}` with name, label_id, label_type, or `item {…}` with name, id. Order as in the file."""
    text = read_text(path)
    actions, end = [], 0
    for match in _BLOCK.finditer(text):
        _only_blank(path, text, end, match.start())
        actions.append(_action(path, text.count("\n", 0, match.start()) + 1, match[1]))
        end = match.end()
    _only_blank(path, text, end, len(text))
    if not actions:
        raise FormatError(
            path, None, 'expected blocks like `label { name: "stand" label_id: 12 }`, found none'
        )
    return actions


_BLOCK = re.compile(r"(?:label|item)\s*\{((?:[^{}\"]|\"[^\"\n]*\")*)\}")


def _only_blank(path, text: str, start: int, stop: int) -> None:
    rest = text[start:stop].strip()
    if rest:
        line = text.count("\n", 0, text.index(rest, start)) + 1
        raise FormatError(path, line, f'expected `label {{ name: "…" label_id: N }}`, found {found(rest)}')


def _action(path, line: int, block: str) -> AvaAction:
    name = re.search(r'\bname\s*:\s*"([^"\n]*)"', block)
    number = re.search(r"\b(?:label_)?id\s*:\s*([0-9]+)", re.sub(r'"[^"\n]*"', '""', block))
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
            raise FormatError(path, None, f"cannot be written so that it reads back: {found(action)}")
    write_text(path, "".join(map(block, actions)))
