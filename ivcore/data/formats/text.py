"""Reads annotation text (encodings, line ends, numbered lines) with errors that name the line; base folders of relative paths."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ivcore import git_lfs
from ivcore.errors import FormatError

Record = TypeVar("Record")


def read_text(path, errors: str = "strict") -> str:
    """The file as text with "\\n" line ends and without a byte order mark.

    FormatError if it is not UTF-8 text, unless `errors` names another of Python's error handlers for decoding.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(4096)
            if git_lfs.is_pointer(data):
                raise FormatError(path, 1, "a Git LFS pointer, not the file itself: git lfs pull")
            if b"\0" in data:  # checked early, so that a video is not read into memory by mistake
                raise FormatError(path, 1, "expected UTF-8 text, found binary data (or UTF-16)")
            data += file.read()
            if b"\0" in data:
                line = data.count(b"\n", 0, data.index(b"\0")) + 1
                raise FormatError(path, line, "expected UTF-8 text, found a NUL byte")
    except OSError as error:
        raise FormatError(path, None, f"cannot be read: {error.strerror or error}") from None
    try:
        text = data.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(path, line, f"expected UTF-8 text, found the byte 0x{data[error.start]:02x}") from None
    return re.sub("\r\n?", "\n", text) if "\r" in text else text


def numbered_lines(path, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, stripped line) for every line that is not blank. FormatError for an empty file."""
    empty = True
    for number, line in enumerate(read_text(path, errors).split("\n"), 1):
        if line := line.strip():
            empty = False
            yield number, line
    if empty:
        raise FormatError(path, None, "expected at least one line, the file is empty")


_note: Callable[[list[FormatError]], None] | None = None  # receives the errors of bad rows in this process


def leave_out_bad_rows(note: Callable[[list[FormatError]], None] | None) -> None:
    """Makes readers leave out single bad rows and pass their errors to `note`; None makes them strict again."""
    global _note
    _note = note


@contextmanager
def without_bad_rows() -> Iterator[list[FormatError]]:
    """Inside the context, readers leave out single bad rows and append their errors, with file and line, to the yielded list."""
    errors, before = [], _note
    leave_out_bad_rows(errors.extend)
    try:
        yield errors
    finally:
        leave_out_bad_rows(before)


def parse_rows(path, parse: Callable[..., Record], rows: Iterable, minimum: int = 1) -> list[Record]:
    """Returns parse(row), or parse(*row) for a tuple, for every row of a file.

    FormatError for a bad row. If bad rows are left out, FormatError (of the first bad row) if fewer than `minimum` rows are good.
    """
    good, bad = [], []
    for row in rows:
        try:
            good.append(parse(*row) if isinstance(row, tuple) else parse(row))
        except FormatError as error:
            if _note is None:
                raise
            bad.append(error)
    if bad and len(good) < minimum:
        raise FormatError(path, bad[0].line, f"none of its rows can be used: {bad[0].expected}")
    if bad:
        _note(bad)
    return good


def base_folder(path, root=None) -> str:
    """The folder where relative media paths in the annotation file `path` start: `root`, or else the file's own folder."""
    return os.path.abspath(root if root is not None else os.path.dirname(os.path.abspath(path)))


def written_path(media, base: str) -> str:
    """`media` relative to `base` if it lies inside, so that a dataset folder can be moved; else unchanged."""
    media = os.fspath(media)
    inside = media.startswith(base.rstrip(os.sep) + os.sep)
    return os.path.relpath(media, base) if inside else media
