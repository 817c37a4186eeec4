"""Formats with one record a line, each defined by patterns: a reader that names a bad line, and a writer that checks that its lines read back."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from ivcore.data.formats.text import base_folder, numbered_lines, parse_rows
from ivcore.errors import FormatError, shown
from ivcore.files import write_text

_LONGEST = 16_384  # characters of a line: the time of some patterns grows with the square, to a minute for 100,000


class LineFormat:
    """A list without a header.

    expected: what a line must be, for the error. patterns: regular expressions for a whole stripped line; the first that matches is
    used. record: (base folder, *groups) -> the record; it raises ValueError with what was expected.
    """

    def __init__(self, expected: str, record: Callable[..., Any], *patterns: str):
        self.expected, self.record = expected, record
        self.patterns = [re.compile(pattern) for pattern in patterns]

    def matches(self, line: str) -> bool:
        return any(pattern.fullmatch(line) for pattern in self.patterns)

    def parse(self, path, base: str, number: int, line: str):
        """The record of one line. FormatError if it does not match."""
        if len(line) > _LONGEST:
            raise FormatError(
                path, number, f"expected {self.expected}, found {len(line)} characters; read are {_LONGEST}"
            )
        expected = self.expected
        for pattern in self.patterns:
            if match := pattern.fullmatch(line):
                try:
                    return self.record(base, *match.groups())
                except ValueError as error:
                    expected = str(error)
                    break
        raise FormatError(path, number, f"expected {expected}, found {shown(line)}")

    def read(self, path, root=None, judge: Callable[[int, Any], str] | None = None) -> list:
        """All records. root: where relative media paths start, by default the file's folder. judge(line number, record): returns what is
        wrong with a record given the earlier ones, or "" (see `one_label`)."""
        base = base_folder(path, root)

        def row(number: int, line: str):
            record = self.parse(path, base, number, line)
            if judge and (fault := judge(number, record)):
                raise FormatError(path, number, fault)
            return record

        return parse_rows(path, row, numbered_lines(path))

    def write(self, path, records: Iterable, as_line: Callable[[Any], str], root=None) -> None:
        base = base_folder(path, root)
        write_lines(path, records, as_line, lambda number, line: self.parse(path, base, number, line))


def write_lines(path, records: Iterable, as_line: Callable[[Any], str], parse: Callable[[int, str], Any]) -> None:
    """Writes one record a line. FormatError for a record that would not read back equal, such as a path with a line break."""
    lines = []
    for number, record in enumerate(records, 1):
        line = as_line(record)
        if not _reads_back(line, number, record, parse):
            raise FormatError(path, number, f"cannot be written so that it reads back: {shown(record)}")
        lines.append(line)
    write_text(path, "".join(line + "\n" for line in lines))


def _reads_back(line: str, number: int, record, parse) -> bool:
    try:
        one_line = "\n" not in line and "\r" not in line and line.strip() == line
        return one_line and parse(number, line) == record
    except FormatError:
        return False
