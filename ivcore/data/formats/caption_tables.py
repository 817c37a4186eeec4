"""Captioned videos and images in the tables of web-scale sets: WebVid's CSV, any CSV with a path and a caption, JSON lists, JSON lines.

Captions that are not UTF-8 are not an error here: Python's "surrogateescape" keeps their bytes, and `ivcore.data.captions.texts`
reads and counts them.
"""

import os
from dataclasses import dataclass

from ivcore.data.formats.captions import CaptionedVideo, SplitRow, read_msrvtt_json
from ivcore.data.formats.table import read_table
from ivcore.data.formats.text import base_folder, parse_rows
from ivcore.data.formats.tree import Node, read_json, read_json_lines
from ivcore.errors import FormatError, shown

PATHS = ("path", "video", "image", "file")
CAPTIONS = ("caption", "captions", "name", "text", "sentence")
_LENIENT = "surrogateescape"


@dataclass(frozen=True)
class CaptionedSegment(CaptionedVideo):
    """A captioned part of a video, from `start` to `end` in seconds."""

    start: float = 0.0
    end: float = 0.0


def read_caption_csv(path, root=None, suffix: str = ".mp4") -> list[CaptionedVideo]:
    """A CSV with a header: `path` (or video, image, file), `caption` (or name, text, sentence), optional `id`, `start`, `end`; or WebVid's.

    WebVid lists `videoid,contentUrl,duration,page_dir,name` and stores <root>/<page_dir>/<videoid>.mp4. Rows of one file (and one
    part of it) become one record with several captions. Empty captions are kept; `ivcore.data.captions.texts` counts them.
    """

    def required(header: list[str]) -> str | None:
        if _first((*PATHS, "videoid"), header) and _first(CAPTIONS, header):
            return None
        return "a header with path and caption, or WebVid's videoid,contentUrl,duration,page_dir,name"

    def entry(line: int, cells: dict) -> tuple:
        column = _first((*PATHS, "videoid"), cells)
        file = _webvid_file(cells, suffix) if column == "videoid" else cells[column].strip()
        if not file:
            raise FormatError(path, line, f"expected no empty {column}")
        return file, cells, (cells[_first(CAPTIONS, cells)],), _times(path, line, cells)

    return _records(base_folder(path, root), read_table(path, required, entry, _LENIENT))


def _first(names: tuple[str, ...], columns) -> str | None:
    """The first name that is a column, or None."""
    return next((name for name in names if name in columns), None)


def _webvid_file(cells: dict[str, str], suffix: str) -> str:
    name = cells["videoid"].strip()
    return os.path.join(cells.get("page_dir", "").strip(), name + suffix) if name else ""


def _times(path, line: int, cells: dict) -> tuple[float, float] | None:
    if "start" not in cells or "end" not in cells:
        return None
    try:
        start, end = float(cells["start"]), float(cells["end"])
    except (TypeError, ValueError):
        start, end = 0.0, -1.0
    if not 0 <= start < end < float("inf"):
        times = f"{cells['start']}, {cells['end']}"
        raise FormatError(path, line, f"expected seconds start < end, found {shown(times)}")
    return start, end


def _records(base: str, entries: list[tuple]) -> list[CaptionedVideo]:
    """One record for each file and part, in the order of first appearance."""
    grouped: dict[tuple, tuple[str, list[str]]] = {}
    for file, cells, captions, times in entries:
        name = str(cells.get("id") or cells.get("videoid") or os.path.splitext(os.path.basename(file))[0])
        grouped.setdefault((os.path.join(base, file), times), (name, []))[1].extend(captions)
    return [_record(name, file, tuple(texts), times) for (file, times), (name, texts) in grouped.items()]


def _record(name: str, file: str, captions: tuple[str, ...], times) -> CaptionedVideo:
    if times is None:
        return CaptionedVideo(name, file, captions)
    return CaptionedSegment(name, file, captions, None, *times)


def read_caption_json(path, root=None) -> list[CaptionedVideo]:
    """A list of `{"path": …, "caption": "…" or ["…", …]}`, or one such object a line (.jsonl). The CSV's other names are allowed, too."""
    lines = str(path).endswith(".jsonl")
    nodes = read_json_lines(path, _LENIENT) if lines else read_json(path, _LENIENT).entries()
    return _records(base_folder(path, root), parse_rows(path, _entry, nodes))


def _entry(node: Node) -> tuple:
    keys = node.expect(dict, "an object")
    path, caption = node.get(_first(PATHS, keys) or PATHS[0]), node.get(_first(CAPTIONS, keys) or CAPTIONS[0])
    several = isinstance(caption.value, list)
    captions = tuple(item.text() for item in caption.entries()) if several else (caption.text(),)
    file = path.text()
    if not file:
        path.fail("expected a path, found none")
    line = node.document.line(node.at) if "start" in keys else 0
    return file, keys, captions, _times(node.document.path, line, keys)


def read_captions(path, root=None) -> list[CaptionedVideo]:
    """Reads a captioned set in any of these formats: CSV, JSON lines, a JSON list, MSR-VTT's JSON."""
    if str(path).endswith(".csv"):
        return read_caption_csv(path, root)
    if str(path).endswith(".jsonl") or not isinstance(read_json(path, _LENIENT).value, dict):
        return read_caption_json(path, root)
    return read_msrvtt_json(path, root)


def in_split(videos: list[CaptionedVideo], rows: list[SplitRow], path="split") -> list[CaptionedVideo]:
    """The videos of an MSR-VTT split, in its order. If a row has a sentence, as in test splits, it is the video's only caption.

    Raises FormatError for a row whose video is not in `videos`; `path` names the split in that error.
    """
    listed = {video.id: video for video in videos}
    for number, row in enumerate(rows, 2):
        if row.video_id not in listed:
            raise FormatError(path, number, f"expected a listed video_id, found {shown(row.video_id)}")
    return [_of_row(listed[row.video_id], row) for row in rows]


def _of_row(video: CaptionedVideo, row: SplitRow) -> CaptionedVideo:
    if row.sentence is None:
        return video
    return CaptionedVideo(video.id, video.path, (row.sentence,), video.split)
