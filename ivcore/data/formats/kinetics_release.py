"""Kinetics annotation files as released: a header and one clip a row, its class by name and its place in a YouTube video."""

import csv
import re
from dataclasses import dataclass
from functools import partial

from ivcore.data.formats.text import each, found, numbered_lines, read_text
from ivcore.errors import FormatError

COLUMNS = ("youtube_id", "time_start", "time_end")
_ID = re.compile(r"[A-Za-z0-9_-]{11}")


@dataclass(frozen=True, slots=True)
class KineticsClip:
    """Seconds `start` to `end` of a video. `label` is a class name, None in test files; `split` is as written, "" without."""

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
    """`label,youtube_id,time_start,time_end,split` with that header; the label column is missing or empty in test files.

    Columns are found by name, further ones (`is_cc`) are allowed. YouTube ids have 11 letters, digits, - or _: an id that a
    spreadsheet has turned into a number or a formula error is refused.
    """
    rows = _rows(path, csv.reader(read_text(path).split("\n"), strict=True))
    number, header = next(rows, (None, []))
    header = [name.strip() for name in header]
    if missing := [name for name in COLUMNS if name not in header]:
        raise FormatError(path, number, f"expected a header with {', '.join(COLUMNS)}, no {missing[0]} found")
    places = [header.index(name) for name in COLUMNS]
    label, split = (header.index(name) if name in header else None for name in ("label", "split"))
    columns = {"width": len(header), "places": places, "label": label, "split": split}
    return each(path, partial(_clip, path, **columns), rows)


def _rows(path, reader):
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise FormatError(path, reader.line_num, f"expected comma-separated values: {error}") from None


def _clip(path, number, row, width, places, label, split) -> KineticsClip:
    if len(row) != width:
        raise FormatError(path, number, f"expected {width} columns, as in the header, found {len(row)}")
    video, start, end = (row[place].strip() for place in places)
    if not _ID.fullmatch(video):
        raise FormatError(path, number, f"expected a YouTube id of 11 characters, found {found(video)}")
    if not (
        start.isascii() and start.isdigit() and end.isascii() and end.isdigit() and int(start) < int(end)
    ):
        raise FormatError(path, number, f"expected whole seconds time_start < time_end, found {start}, {end}")
    name = row[label].strip() if label is not None else ""
    return KineticsClip(
        video, int(start), int(end), name or None, row[split].strip() if split is not None else ""
    )
