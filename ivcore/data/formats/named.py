"""Lists of videos whose labels are names or numbers: `path,name` a line, with or without a header."""

import re
from dataclasses import dataclass

from ivcore.data.formats.lines import LineFormat
from ivcore.data.formats.text import base_folder, numbered_lines, parse_rows
from ivcore.data.formats.trimmed import _media

_HEADER = re.compile(
    r'"?(path|file|filename|file_name|video|video_path|clip)"?\s*[,\t ]\s*"?(label|class|name|category|action)"?', re.I
)
_PATH_OR_QUOTED = r'("(?:[^"]|"")+"|[^,\t"][^,\t]*?)'
_NAME = r'("(?:[^"]|"")+"|[^,\t"]+)'


@dataclass(frozen=True, slots=True)
class NamedVideo:
    path: str
    name: str


def _named(base: str, path: str, name: str) -> NamedVideo:
    name = name[1:-1].replace('""', '"') if name[:1] == name[-1:] == '"' else name
    return NamedVideo(_media(base, path.strip()), name.strip())


# `path label` with a whole number is tried first: its path may contain blanks and commas, as in a Kinetics CSV. A name may contain blanks
# after a comma or a tab.
NAMED = LineFormat(
    "`path,label` or `path label`, label a number or a name",
    _named,
    r"(.*[^\s,])(?:\s*,\s*|\s+)([0-9]{1,9})",
    rf"{_PATH_OR_QUOTED}\s*[,\t]\s*{_NAME}",
    r"([^,\t]*[^\s,])\s+([^\s,]+)",
)


def read_named_list(path, root=None) -> list[NamedVideo]:
    """The rows of a list without its header. FormatError names the first malformed line."""
    base = base_folder(path, root)
    lines = list(numbered_lines(path))
    if len(lines) > 1 and _HEADER.fullmatch(lines[0][1]):
        del lines[0]
    return parse_rows(path, lambda number, line: NAMED.parse(path, base, number, line), lines)
