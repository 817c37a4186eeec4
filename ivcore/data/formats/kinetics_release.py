"""Kinetics annotation files as released: a header and one clip a row, with its class name, YouTube id, start and end."""

import re
from dataclasses import dataclass
from functools import partial

from ivcore.data.formats.table import read_table
from ivcore.data.formats.text import numbered_lines
from ivcore.errors import FormatError, shown

COLUMNS = ("youtube_id", "time_start", "time_end")
_ID, _SECONDS = re.compile(r"[A-Za-z0-9_-]{11}"), re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class KineticsClip:
    """Seconds `start` to `end` of a video. label: class name, None in test files. split: as written, "" if missing."""

    youtube_id: str
    start: int
    end: int
    label: str | None = None
    split: str = ""


def is_kinetics_release(path) -> bool:
    """Whether the first line is the header of a released file."""
    _, header = next(numbered_lines(path))
    return "youtube_id" in [name.strip() for name in header.split(",")]


def read_kinetics_release(path) -> list[KineticsClip]:
    """A CSV with the header `label,youtube_id,time_start,time_end,split`; the label column is missing or empty in test files.

    Columns are found by name; further ones (`is_cc`) are allowed. A YouTube id has 11 letters, digits, - or _; FormatError for an id that a
    spreadsheet has turned into a number or a formula error.
    """

    def required(header: list[str]) -> str | None:
        missing = [name for name in COLUMNS if name not in header]
        return f"a header with {', '.join(COLUMNS)}, no {missing[0]} found" if missing else None

    return read_table(path, required, partial(_clip, path))


def _clip(path, line: int, cells: dict) -> KineticsClip:
    video, start, end = (cells[column].strip() for column in COLUMNS)
    if not _ID.fullmatch(video):
        raise FormatError(path, line, f"expected a YouTube id of 11 characters, found {shown(video)}")
    if not (_SECONDS.fullmatch(start) and _SECONDS.fullmatch(end) and int(start) < int(end)):
        raise FormatError(path, line, f"expected whole seconds time_start < time_end, found {start}, {end}")
    label, split = cells.get("label", "").strip(), cells.get("split", "").strip()
    return KineticsClip(video, int(start), int(end), label or None, split)
