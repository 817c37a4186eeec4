"""JSON values with their position in the file, so that errors name the line and the key."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from ivcore.data.formats.text import numbered_lines, parse_rows, read_text
from ivcore.errors import FormatError, shown
from ivcore.files import write_text

REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Document:
    path: str
    text: str
    first_line: int = 1

    def line(self, at: tuple) -> int:
        """The line of the value at the keys and indices `at`. Parses the text again, slowly, because only errors need it."""
        return self.text.count("\n", 0, _offset(self.text, at)) + self.first_line


@dataclass(frozen=True, slots=True)
class Node:
    """A value, the keys and indices that lead to it, and its document."""

    value: Any
    at: tuple
    document: Document

    def fail(self, expected: str) -> NoReturn:
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.at).lstrip(".")
        text = f"{where}: {expected}" if where else expected
        raise FormatError(self.document.path, self.document.line(self.at), text)

    def expect(self, kinds, expected: str):
        if not isinstance(self.value, kinds) or isinstance(self.value, bool):
            self.fail(f"expected {expected}, found {shown(self.value)}")
        return self.value

    def entries(self) -> Iterator["Node"]:
        items = self.expect(list, "a list")
        return (Node(item, (*self.at, index), self.document) for index, item in enumerate(items))

    def items(self) -> list[tuple[str, "Node"]]:
        mapping = self.expect(dict, "an object")
        return [(key, Node(value, (*self.at, key), self.document)) for key, value in mapping.items()]

    def get(self, key: str, default=REQUIRED) -> "Node":
        mapping = self.expect(dict, "an object")
        if key in mapping:
            return Node(mapping[key], (*self.at, key), self.document)
        if default is REQUIRED:
            self.fail(f"expected the key {key!r}")
        return Node(default, self.at, self.document)

    def text(self) -> str:
        return self.expect(str, "text")

    def identifier(self) -> str:
        """A name; some releases write it as a number."""
        return str(self.expect((str, int), "a name"))

    def name(self) -> str:
        """An identifier that is not blank."""
        if not (name := self.identifier()).strip():
            self.fail(f"expected a name, found {shown(name)}")
        return name

    def whole(self, minimum: int = 0) -> int:
        if self.expect(int, f"a whole number from {minimum}") < minimum:
            self.fail(f"expected a whole number from {minimum}, found {self.value}")
        return self.value

    def number(self, expected: str = "a number from 0", minimum: float = 0.0) -> float:
        try:
            value = float(self.expect((int, float), expected))
        except OverflowError:
            self.fail(f"expected {expected}, found a number of hundreds of digits")
        if not math.isfinite(value) or value < minimum:
            self.fail(f"expected {expected}, found {value}")
        return value


def read_json(path, errors: str = "strict") -> Node:
    """The file as a tree. FormatError if it is not JSON, has NaN, or repeats a key (the first value would be lost silently)."""
    return read_json_text(path, read_text(path, errors))


def read_json_text(path, text: str) -> Node:
    """As `read_json`, from the file's text."""
    return _parse(Document(str(path), text))


def read_json_lines(path, errors: str = "strict") -> list[Node]:
    """One tree for each line that is not blank. FormatError as in `read_json`."""
    lines = numbered_lines(path, errors)
    return parse_rows(path, lambda number, line: _parse(Document(str(path), line, number)), lines)


def write_json(path, value) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_json_lines(path, values: Iterable[dict]) -> None:
    write_text(path, "".join(json.dumps(value) + "\n" for value in values))


def _parse(document: Document) -> Node:
    try:
        value = json.loads(document.text, object_pairs_hook=_unique, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        line = error.lineno + document.first_line - 1
        raise FormatError(document.path, line, f"expected JSON: {error.msg.lower()}, column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        line = document.first_line if "\n" not in document.text else None
        raise FormatError(document.path, line, f"expected JSON: {error}") from None
    return Node(value, (), document)


def _unique(pairs: list) -> dict:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {shown(twice)} occurs twice in one object")
    return mapping


def _refuse(constant: str):
    raise ValueError(f"{constant} is not a number")


_BLANK = re.compile(r"[ \t\n]*")
_decode = json.JSONDecoder().raw_decode


def _after_blank(text: str, position: int) -> int:
    return _BLANK.match(text, position).end()


def _offset(text: str, at: tuple) -> int:
    """The offset in characters of the value at `at`: goes down one container at a time and skips whole siblings."""
    position = _after_blank(text, 0)
    for step in at:
        in_object, index = text[position] == "{", 0
        position = _after_blank(text, position + 1)
        while True:
            key = index
            if in_object:
                key, position = _decode(text, position)
                position = _after_blank(text, _after_blank(text, position) + 1)
            if key == step:
                break
            _, position = _decode(text, position)
            position, index = _after_blank(text, _after_blank(text, position) + 1), index + 1
    return position
