"""Captions for retrieval: MSR-VTT's `MSRVTT_data.json` with its CSV splits, and LSMDC's table."""

from dataclasses import dataclass

from ivcore.data.formats.lines import LineFormat
from ivcore.data.formats.table import read_table, write_table
from ivcore.data.formats.text import base_folder, parse_rows
from ivcore.data.formats.tree import Node, read_json, write_json
from ivcore.errors import FormatError, shown


@dataclass(frozen=True, slots=True)
class CaptionedVideo:
    id: str
    path: str
    captions: tuple[str, ...]
    split: str | None = None


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A row of a split: the video, and in test splits the sentence to retrieve it by."""

    video_id: str
    sentence: str | None = None


@dataclass(frozen=True, slots=True)
class ClipSentence:
    """A row of LSMDC: the clip's name, which contains its times, and its sentence."""

    clip: str
    sentence: str


def read_msrvtt_json(path, root=None, suffix: str = ".mp4") -> list[CaptionedVideo]:
    """`{"videos": [{"video_id": …, "split": …}], "sentences": [{"sen_id": 1, "video_id": "video0", "caption": "…"}]}`.

    One record a video, with its captions in the order of the file. FormatError for a sentence of an unlisted video.
    """
    tree, base = read_json(path), base_folder(path, root)
    splits: dict[str, str | None] = {}
    for node in tree.get("videos").entries():
        name = node.get("video_id").name()
        if name in splits:
            node.fail(f"expected every video once, found {shown(name)} again")
        split = node.get("split", None)
        splits[name] = None if split.value is None else split.text()
    captions: dict[str, list[str]] = {name: [] for name in splits}

    def sentence(node: Node) -> None:
        name = node.get("video_id").name()
        if name not in captions:
            node.fail(f"expected a video_id of the list `videos`, found {shown(name)}")
        captions[name].append(node.get("caption").text())

    parse_rows(path, sentence, tree.get("sentences").entries())
    return [CaptionedVideo(n, f"{base}/{n}{suffix}", tuple(captions[n]), split) for n, split in splits.items()]


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
    write_json(path, content)


def read_msrvtt_csv(path) -> list[SplitRow]:
    """A split with header: `video_id` (train) or `key,vid_key,video_id,sentence` (test, one row a query)."""

    def required(header: list[str]) -> str | None:
        expected = "a header with video_id (train) or key,vid_key,video_id,sentence (test)"
        return None if "video_id" in header else expected

    first: dict[SplitRow, int] = {}

    def row(line: int, cells: dict) -> SplitRow:
        name, sentence = cells["video_id"].strip(), cells.get("sentence")
        if not name or (sentence is not None and not sentence.strip()):
            raise FormatError(path, line, f"expected no empty video_id or sentence, found {shown(cells)}")
        found = SplitRow(name, sentence)
        if first.setdefault(found, line) != line:
            raise FormatError(path, line, f"expected every row once, found that of line {first[found]} again")
        return found

    return read_table(path, required, row)


def write_msrvtt_csv(path, rows) -> None:
    """Writes the test layout if a row has a sentence, else the train layout."""
    rows = list(rows)
    if all(row.sentence is None for row in rows):
        return write_table(path, [["video_id"], *([row.video_id] for row in rows)])
    queries = (
        [f"ret{index}", "msr" + row.video_id.removeprefix("video"), row.video_id, row.sentence]
        for index, row in enumerate(rows)
    )
    write_table(path, [["key", "vid_key", "video_id", "sentence"], *queries])


LSMDC = LineFormat(
    "6 TAB-separated columns: clip, start and end aligned, start and end extracted, sentence",
    lambda base, clip, sentence: ClipSentence(clip.strip(), sentence.strip()),
    r"([^\t]+)(?:\t[^\t]*){4}\t([^\t]*)",
)
read_lsmdc_table = LSMDC.read
