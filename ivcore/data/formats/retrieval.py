"""Captions of the retrieval datasets other than MSR-VTT and LSMDC: MSVD, ActivityNet Captions, DiDeMo, VATEX, and lists of their videos."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn

from ivcore.data.formats.caption_tables import CaptionedSegment
from ivcore.data.formats.captions import CaptionedVideo
from ivcore.data.formats.plain_pickle import read_plain_pickle
from ivcore.data.formats.text import base_folder, numbered_lines, parse_rows, read_text
from ivcore.data.formats.tree import Node, read_json, write_json
from ivcore.errors import FormatError, shown
from ivcore.files import write_text

DIDEMO_SECONDS = 31.0  # annotations cover the first 30 seconds; the published code reads one second more


def read_msvd_captions(path, root=None, suffix: str = ".avi") -> list[CaptionedVideo]:
    """raw-captions.pkl: `{"video id": [["a", "man", "plays"], …]}`. Executes nothing in the file. A pickle has no lines; errors name the video."""
    table, base = read_plain_pickle(path), base_folder(path, root)
    if not isinstance(table, dict) or not table:
        raise FormatError(path, None, f"expected a dictionary of videos, found {shown(table)}")

    def record(name, captions) -> CaptionedVideo:
        if not isinstance(name, str) or not isinstance(captions, list | tuple) or not captions:
            raise FormatError(path, None, f"{shown(name)}: expected a name with a list of captions, found {shown(captions)}")  # fmt: skip
        return CaptionedVideo(name, f"{base}/{name}{suffix}", tuple(_sentence(path, name, words) for words in captions))

    return parse_rows(path, record, table.items())


def _sentence(path, name: str, words) -> str:
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        raise FormatError(path, None, f"{name!r}: expected captions as lists of words, found {shown(words)}")
    return " ".join(words)


def read_paragraphs(path, root=None, suffix: str = ".mp4") -> list[CaptionedVideo]:
    """ActivityNet Captions: `{"v_x": {"duration": 82.7, "timestamps": [[0.8, 19.8]], "sentences": ["A man …"]}}`.

    The joined sentences of a video are its only caption, the paragraph that retrieval uses as the query.
    """
    base = base_folder(path, root)

    def record(name: str, node: Node) -> CaptionedVideo:
        sentences = [sentence.text().strip() for sentence in node.get("sentences").entries()]
        node.get("duration").number()
        if not any(sentences):
            node.fail("expected sentences, found none")
        if len(list(node.get("timestamps").entries())) != len(sentences):
            node.fail("expected as many timestamps as sentences")
        return CaptionedVideo(name, f"{base}/{name}{suffix}", (" ".join(sentences),))

    return parse_rows(path, record, read_json(path).items())


def write_paragraphs(path, videos: Iterable[tuple[str, float, list[tuple[float, float, str]]]]) -> None:
    """Writes ActivityNet Captions' JSON. videos: (name, seconds, [(start, end, sentence)])."""
    write_json(path, {
        name: {"duration": seconds, "timestamps": [[start, end] for start, end, _ in moments], "sentences": [text for *_, text in moments]}
        for name, seconds, moments in videos
    })  # fmt: skip


def read_didemo(path, root=None) -> list[CaptionedSegment]:
    """`[{"video": "12345@N00_1_2.mov", "description": "a dog jumps", "times": [[0, 0], [1, 1]]}]`: descriptions of moments, in chunks of five seconds.

    The joined descriptions of a video are its only caption, and only its first 31 seconds are used, as in the published code.
    """
    base, described = base_folder(path, root), {}

    def row(node: Node) -> None:
        name, text = node.get("video").name(), node.get("description").text().strip()
        for time in node.get("times").entries():
            first, last = [end.whole() for end in time.entries()] if len(time.expect(list, "a pair")) == 2 else (1, 0)
            if first > last:
                time.fail(f"expected a pair of chunks, first <= last, found {shown(time.value)}")
        if not text:
            node.fail("expected no empty description")
        described.setdefault(name, []).append(text)

    parse_rows(path, row, read_json(path).entries())
    return [
        CaptionedSegment(name, f"{base}/{name}", (" ".join(texts),), None, 0.0, DIDEMO_SECONDS)
        for name, texts in described.items()
    ]


def write_didemo(path, rows: Iterable[tuple[str, str, list[list[int]]]]) -> None:
    """Writes DiDeMo's JSON. rows: (video, description, [first, last] chunk of each annotator)."""
    keys = ("video", "description", "times")
    write_json(path, [dict(zip(keys, row)) for row in rows])


def read_vatex(path, root=None, suffix: str = ".mp4") -> list[CaptionedVideo]:
    """`[{"videoID": "xx_000010_000020", "enCap": ["…", …]}]`; an optional `path` gives the file."""
    base, seen = base_folder(path, root), set()

    def record(node: Node) -> CaptionedVideo:
        name, file = node.get("videoID").name(), node.get("path", None)
        captions = tuple(caption.text() for caption in node.get("enCap").entries())
        if not captions:
            node.fail("expected captions in enCap, found none")
        if name in seen:
            node.fail(f"expected every video once, found {shown(name)} again")
        seen.add(name)
        return CaptionedVideo(name, f"{base}/{file.text() if file.value is not None else name + suffix}", captions)

    return parse_rows(path, record, read_json(path).entries())


def write_vatex(path, videos: Iterable[CaptionedVideo]) -> None:
    write_json(path, [{"videoID": video.id, "enCap": list(video.captions)} for video in videos])


def write_video_ids(path, names: Iterable[str]) -> None:
    """Writes a JSON list if the file's name ends in .json, else one video a line."""
    if str(path).endswith(".json"):
        write_json(path, list(names))
    else:
        write_text(path, "".join(f"{name}\n" for name in names))


def of_ids(videos: Iterable[CaptionedVideo], path) -> list[CaptionedVideo]:
    """The videos that a split lists, in its order. FormatError for a listed video without a caption."""
    known = {video.id: video for video in videos}

    def found(name: str, fail: Callable) -> CaptionedVideo:
        return known[name] if name in known else fail(f"expected a video that has captions, found {shown(name)}")

    return parse_rows(path, found, _ids(path))


def _ids(path) -> list[tuple[str, Callable[[str], NoReturn]]]:
    """(name, a function that raises a FormatError at its line) of every video of a split. FormatError for a repeated video."""
    seen = set()

    def once(name: str, fail: Callable) -> tuple[str, Callable]:
        if name in seen:
            fail(f"expected every video once, found {shown(name)} again")
        seen.add(name)
        return name, fail

    if read_text(path).lstrip().startswith("["):
        return parse_rows(path, lambda node: once(node.name(), node.fail), read_json(path).entries())
    return parse_rows(path, lambda number, line: once(line, partial(_fail, path, number)), numbered_lines(path))


def _fail(path, line: int, expected: str) -> NoReturn:
    raise FormatError(path, line, expected)
