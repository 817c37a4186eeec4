"""Captioned videos and images as web-scale sets list them: WebVid's CSV, any CSV with a path and a caption, JSON lists and JSON lines.

Captions that are not UTF-8 are no error here: their bytes come through as Python's "surrogateescape" writes them, for
`ivcore.data.captions.texts` to read and count.
"""

import csv
import io
import json
import os
from dataclasses import dataclass

from ivcore.data.formats.captions import CaptionedVideo, SplitRow, read_msrvtt_json
from ivcore.data.formats.text import base_folder, each, found, read_text, write_text, written_path
from ivcore.data.formats.tree import Node, read_json, read_json_lines
from ivcore.errors import FormatError

PATHS = ("path", "video", "image", "file")
CAPTIONS = ("caption", "captions", "name", "text", "sentence")
_LENIENT = "surrogateescape"


@dataclass(frozen=True)
class CaptionedSegment(CaptionedVideo):
    """A captioned part of a video, in seconds."""

    start: float = 0.0
    end: float = 0.0


def read_caption_csv(path, root=None, suffix: str = ".mp4") -> list[CaptionedVideo]:
    """A header with `path` (or video, image, file) and `caption` (or name, text, sentence), maybe `id`, `start` and `end`; or WebVid's.

    WebVid lists `videoid,contentUrl,duration,page_dir,name` and stores <root>/<page_dir>/<videoid>.mp4. Rows of one file (and one
    part of it) are one record of several captions. An empty caption is kept: it is counted where captions are used.
    """
    rows = csv.reader(io.StringIO(read_text(path, _LENIENT), newline=""), strict=True)
    base = base_folder(path, root)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        where, said = _columns(path, header)

        def entry(line: int, row: list[str]) -> tuple:
            cells = _cells(path, line, header, row)
            file = _webvid_file(cells, suffix) if where == "videoid" else cells[where].strip()
            if not file:
                raise FormatError(path, line, f"expected no empty {where}")
            return file, cells, (cells[said],), _times(path, line, cells)

        filled = ((rows.line_num, row) for row in rows if any(cell.strip() for cell in row))
        entries = each(path, entry, filled)
    except csv.Error as error:
        raise FormatError(path, rows.line_num, f"expected comma-separated values: {error}") from None
    return _records(base, entries)


def _columns(path, header: list[str]) -> tuple[str, str]:
    where = next((name for name in (*PATHS, "videoid") if name in header), None)
    said = next((name for name in CAPTIONS if name in header), None)
    if where is None or said is None:
        expected = "a header with path and caption, or WebVid's videoid,contentUrl,duration,page_dir,name"
        raise FormatError(path, 1, f"expected {expected}, found {found(','.join(header))}")
    return where, said


def _cells(path, line: int, header: list[str], row: list[str]) -> dict[str, str]:
    if len(row) != len(header):
        raise FormatError(
            path, line, f"expected {len(header)} columns ({','.join(header)}), found {len(row)}"
        )
    return dict(zip(header, row))


def _webvid_file(cells: dict[str, str], suffix: str) -> str:
    name = cells["videoid"].strip()
    return os.path.join(cells.get("page_dir", "").strip(), name + suffix) if name else ""


def _times(path, line: int, cells: dict) -> tuple[float, float] | None:
    if "start" not in cells or "end" not in cells:
        return None
    try:
        start, end = float(cells["start"]), float(cells["end"])
    except ValueError:
        start, end = 0.0, -1.0
    if not 0 <= start < end < float("inf"):
        shown = found(f"{cells['start']}, {cells['end']}")
        raise FormatError(path, line, f"expected seconds start < end, found {shown}")
    return start, end


def _records(base: str, entries: list[tuple]) -> list[CaptionedVideo]:
    """One record for each file and part, in order of first appearance."""
    grouped: dict[tuple, tuple[str, list[str]]] = {}
    for file, cells, captions, times in entries:
        name = str(cells.get("id") or cells.get("videoid") or os.path.splitext(os.path.basename(file))[0])
        grouped.setdefault((os.path.join(base, file), times), (name, []))[1].extend(captions)
    return [_record(name, file, tuple(said), times) for (file, times), (name, said) in grouped.items()]


def _record(name: str, file: str, captions: tuple[str, ...], times) -> CaptionedVideo:
    if times is None:
        return CaptionedVideo(name, file, captions)
    return CaptionedSegment(name, file, captions, None, *times)


def write_caption_csv(path, records) -> None:
    """`path,caption`, a row for each caption; paths inside the file's own folder are written relative to it."""
    out, base = io.StringIO(), base_folder(path)
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["path", "caption"])
    for record in records:
        table.writerows([written_path(record.path, base), caption] for caption in record.captions)
    write_text(path, out.getvalue())


def read_caption_json(path, root=None) -> list[CaptionedVideo]:
    """A list of `{"path": …, "caption": "…" or ["…", …]}`, or one such object a line (.jsonl). The CSV's other names do as well."""
    lines = str(path).endswith(".jsonl")
    nodes = read_json_lines(path, _LENIENT) if lines else read_json(path, _LENIENT).entries()
    return _records(base_folder(path, root), each(path, _entry, nodes))


def _entry(node: Node) -> tuple:
    keys = node.expect(dict, "an object")
    where = next((name for name in PATHS if name in keys), PATHS[0])
    said = node.get(next((name for name in CAPTIONS if name in keys), CAPTIONS[0]))
    several = isinstance(said.value, list)
    captions = tuple(item.text() for item in said.entries()) if several else (said.text(),)
    file = node.get(where).text()
    if not file:
        node.get(where).fail("expected a path, found none")
    line = node.document.line(node.at) if "start" in keys else 0
    return file, keys, captions, _times(node.document.path, line, keys)


def read_captions(path, root=None) -> list[CaptionedVideo]:
    """Whatever captioned set the file is: CSV, JSON lines, a JSON list, or MSR-VTT's JSON."""
    if str(path).endswith(".csv"):
        return read_caption_csv(path, root)
    if str(path).endswith(".jsonl") or not isinstance(read_json(path, _LENIENT).value, dict):
        return read_caption_json(path, root)
    return read_msrvtt_json(path, root)


def in_split(videos: list[CaptionedVideo], rows: list[SplitRow], path="split") -> list[CaptionedVideo]:
    """The videos of an MSR-VTT split, in its order; a row's own sentence, as test splits have it, is then the only caption.

    Raises FormatError for a row whose video is not listed; `path` is what it calls the split.
    """
    listed = {video.id: video for video in videos}
    for number, row in enumerate(rows, 2):
        if row.video_id not in listed:
            raise FormatError(path, number, f"expected a listed video_id, found {found(row.video_id)}")
    return [_of_row(listed[row.video_id], row) for row in rows]


def _of_row(video: CaptionedVideo, row: SplitRow) -> CaptionedVideo:
    if row.sentence is None:
        return video
    return CaptionedVideo(video.id, video.path, (row.sentence,), video.split)


def write_caption_json(path, records) -> None:
    """A list of `{"id": …, "path": …, "captions": […]}`, relative paths as in the CSV."""
    base = base_folder(path)
    rows = [{"id": r.id, "path": written_path(r.path, base), "captions": list(r.captions)} for r in records]
    write_text(path, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
