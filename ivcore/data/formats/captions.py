"""Captions for retrieval: MSR-VTT's `MSRVTT_data.json` with its CSV splits, and LSMDC's table."""

import csv
import io
import json
from dataclasses import dataclass
from functools import partial

from ivcore.data.formats.text import (
    base_folder,
    each,
    found,
    numbered_lines,
    read_text,
    write_records,
    write_text,
)
from ivcore.data.formats.tree import Node, read_json
from ivcore.errors import FormatError


@dataclass(frozen=True, slots=True)
class CaptionedVideo:
    id: str
    path: str
    captions: tuple[str, ...]
    split: str | None = None


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A row of a split: the video, and in test splits the one sentence that it is to be found by."""

    video_id: str
    sentence: str | None = None


@dataclass(frozen=True, slots=True)
class ClipSentence:
    """A row of LSMDC: the clip's name and its sentence (times stand in the name)."""

    clip: str
    sentence: str


def read_msrvtt_json(path, root=None, suffix: str = ".mp4") -> list[CaptionedVideo]:
    """`{"videos": [{"video_id": …, "split": …}], "sentences": [{"sen_id": 1, "video_id": "video0", "caption": "…"}]}`.

    One record a video with its captions in the order of the file. A sentence of a video that is not listed is refused.
    """
    tree, base = read_json(path), base_folder(path, root)
    splits: dict[str, str | None] = {}
    for node in tree.get("videos").entries():
        name = node.get("video_id").identifier()
        if name in splits:
            node.fail(f"expected every video once, found {found(name)} again")
        splits[name] = _optional(node, "split")
    captions: dict[str, list[str]] = {name: [] for name in splits}

    def sentence(node: Node) -> None:
        name = node.get("video_id").identifier()
        if name not in captions:
            node.fail(f"expected a video_id of the list `videos`, found {found(name)}")
        captions[name].append(node.get("caption").text())

    each(path, sentence, tree.get("sentences").entries())
    return [
        CaptionedVideo(n, f"{base}/{n}{suffix}", tuple(captions[n]), split) for n, split in splits.items()
    ]


def _optional(node: Node, key: str) -> str | None:
    value = node.get(key, None)
    return None if value.value is None else value.text()


def write_msrvtt_json(path, videos) -> None:
    listed = [
        {"video_id": video.id, "id": index} | ({} if video.split is None else {"split": video.split})
        for index, video in enumerate(videos)
    ]
    sentences = [(video.id, caption) for video in videos for caption in video.captions]
    content = {
        "videos": listed,
        "sentences": [{"sen_id": i, "video_id": v, "caption": c} for i, (v, c) in enumerate(sentences)],
    }
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_msrvtt_csv(path) -> list[SplitRow]:
    """A split with header: `video_id` (train) or `key,vid_key,video_id,sentence` (test, one row a query)."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if "video_id" not in header:
            expected = "a header with video_id (train) or key,vid_key,video_id,sentence (test)"
            raise FormatError(path, 1, f"expected {expected}, found {found(','.join(header))}")
        filled = ((rows.line_num, header, row) for row in rows if any(cell.strip() for cell in row))
        return each(path, partial(_split_row, path), filled)
    except csv.Error as error:
        raise FormatError(path, rows.line_num, f"expected comma-separated values: {error}") from None


def _split_row(path, line: int, header: list[str], row: list[str]) -> SplitRow:
    if len(row) != len(header):
        raise FormatError(
            path, line, f"expected {len(header)} columns ({','.join(header)}), found {len(row)}"
        )
    cells = dict(zip(header, row))
    name, sentence = cells["video_id"].strip(), cells.get("sentence")
    if not name or sentence == "":
        raise FormatError(path, line, f"expected no empty video_id or sentence, found {found(','.join(row))}")
    return SplitRow(name, sentence)


def write_msrvtt_csv(path, rows) -> None:
    """With sentences: the test layout; without: the train layout."""
    rows, out = list(rows), io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    test = any(row.sentence is not None for row in rows)
    table.writerow(["key", "vid_key", "video_id", "sentence"] if test else ["video_id"])
    for index, row in enumerate(rows):
        key = "msr" + row.video_id.removeprefix("video")
        table.writerow([f"ret{index}", key, row.video_id, row.sentence] if test else [row.video_id])
    write_text(path, out.getvalue())


def read_lsmdc_table(path) -> list[ClipSentence]:
    """Six TAB-separated columns: clip, start and end aligned, start and end extracted, sentence. No header."""
    return each(path, partial(_clip_sentence, path), numbered_lines(path))


def _clip_sentence(path, number: int, line: str) -> ClipSentence:
    cells = line.split("\t")
    if len(cells) != 6 or not cells[0].strip():
        expected = "6 TAB-separated columns: clip, 4 times, sentence"
        raise FormatError(path, number, f"expected {expected}, found {len(cells)}: {found(line)}")
    return ClipSentence(cells[0].strip(), cells[5].strip())


def write_lsmdc_table(path, rows) -> None:
    def as_line(row):
        return "\t".join([row.clip, *["00.00.00.000"] * 4, row.sentence])

    write_records(path, rows, as_line, lambda number, line: _clip_sentence(path, number, line))
