"""Untrimmed videos with labelled segments: ActivityNet's JSON (also the format of HACS and FineAction), and THUMOS14's text files.

{"database": {"video_1": {"subset": "Test", "duration": 33.67, "fps": 30.0,
  "annotations": [{"label": "CricketBowling", "segment": [0.2, 1.1], "label_id": 5}]}}}

A released video file has the name of the entry, its `filename` (FineAction), or v_ and the entry's name (ActivityNet), with any ending.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ivcore.data.formats.text import base_folder, numbered_lines, parse_rows
from ivcore.data.formats.tree import Node, read_json, write_json
from ivcore.errors import FormatError, shown
from ivcore.video.endings import ENDINGS


@dataclass(frozen=True, slots=True)
class Segment:
    """One instance, from `start` to `end` in seconds. label_id: None in files with names only, see `segment_labels`."""

    label: str
    start: float
    end: float
    label_id: int | None = None


@dataclass(frozen=True, slots=True)
class UntrimmedVideo:
    """duration: in seconds, None if the file does not say it. video_uid: the video that a clip is cut from, "" if it is a whole video."""

    id: str
    path: str
    subset: str
    duration: float | None
    fps: float | None
    segments: tuple[Segment, ...]
    video_uid: str = ""


def read_segments(
    path, root=None, subset: str | None = None, labels: Collection[str] | None = None
) -> list[UntrimmedVideo]:
    """Reads `<Class>_val.txt` or `<Class>_test.txt` with `read_thumos14` (the whole folder), other files with `read_activitynet_json`."""
    read = read_thumos14 if str(path).endswith(("_val.txt", "_test.txt")) else read_activitynet_json
    return read(path, root, subset=subset, labels=labels)


def read_activitynet_json(
    path, root=None, suffix: str = ".mp4", subset: str | None = None, labels: Collection[str] | None = None
) -> list[UntrimmedVideo]:
    """All videos in the order of the file, or those of one subset (compared without case, as in the published code).

    A video file is searched in `root` or the file's folder, see above; if it is missing, its path is <id><suffix>. FormatError unless 0 <= start
    <= end, the start is within the video, and the label is one of `labels` (if given). An end past the duration is kept, because released files
    have such ends.
    """
    base = base_folder(path, root)
    there = _files_by_stem(base)
    listed = read_json(path).get("database").items()
    videos = parse_rows(path, lambda name, node: _video(name, node, base, suffix, there, labels), listed)
    return of_subset(path, videos, subset)


def of_subset(path, videos: list[UntrimmedVideo], subset: str | None, word: str = "subset") -> list[UntrimmedVideo]:
    """The videos of a subset, compared without case; all for None. FormatError calls the subset `word` if it has no video."""
    chosen = [video for video in videos if subset is None or video.subset.lower() == subset.lower()]
    if not chosen and subset is not None:
        present = ", ".join(sorted({video.subset for video in videos}))
        raise FormatError(path, None, f"expected videos of the {word} {subset!r}; {word}s present: {present}")
    return chosen


def _files_by_stem(folder: str) -> dict[str, str]:
    """Name without ending -> name, for the videos in a folder (not feature files and others); {} if the folder does not exist."""
    try:
        names = sorted(
            name for name in os.listdir(folder or ".") if os.path.splitext(name)[1][1:].lower() in ("", *ENDINGS)
        )
    except OSError:
        return {}
    return {os.path.splitext(name)[0]: name for name in names}


def _video(name: str, node: Node, base: str, suffix: str, there: dict, labels) -> UntrimmedVideo:
    fps, named = node.get("fps", None), node.get("filename", None)
    duration = node.get("duration").number("a duration in seconds")
    file = named.text() if named.value is not None else there.get(name) or there.get(f"v_{name}") or f"{name}{suffix}"
    entries = ((entry, duration, labels) for entry in node.get("annotations", []).entries())
    return UntrimmedVideo(
        id=name,
        path=f"{base}/{file}",
        subset=node.get("subset").text(),
        duration=duration,
        fps=None if fps.value is None else fps.number("frames per second above 0", minimum=1e-6),
        segments=tuple(parse_rows(node.document.path, _segment, entries, minimum=0)),
    )


def _segment(node: Node, duration: float, labels) -> Segment:
    span, name = node.get("segment"), node.get("label")
    ends = [end.number("seconds from 0") for end in span.entries()]
    if len(ends) != 2 or ends[0] > ends[1]:
        span.fail(f"expected [start, end] in seconds with start <= end, found {shown(span.value)}")
    if ends[0] > duration:
        span.fail(f"expected a start before the end of the video at {duration:g} s, found {shown(span.value)}")
    if labels is not None and name.text() not in labels:
        name.fail(f"expected one of the {len(labels)} known labels, found {shown(name.value)}")
    number = node.get("label_id", None)
    return Segment(name.text(), *ends, None if number.value is None else number.whole())


def read_thumos14(
    path, root=None, subset: str | None = None, labels: Collection[str] | None = None
) -> list[UntrimmedVideo]:
    """THUMOS14 as released: one file a class, with lines `video_validation_0000051 67.5 75.9` and no durations.

    path: one of the files; all files of its folder with the same ending are read, except Ambiguous_*. _val and _test give the subset.
    """
    path = Path(path)
    ending = path.stem.rpartition("_")[2]
    base, there = base_folder(path, root), _files_by_stem(base_folder(path, root))
    found: dict[str, list[Segment]] = {}
    for file in sorted(path.parent.glob(f"*_{ending}.txt")):
        label = file.stem.rpartition("_")[0]
        if label != "Ambiguous":
            rows = ((file, number, line, label, labels) for number, line in numbered_lines(file))
            for name, segment in parse_rows(file, _line, rows, minimum=0):
                found.setdefault(name, []).append(segment)
    which = "validation" if ending == "val" else "test"
    videos = [
        UntrimmedVideo(name, f"{base}/{there.get(name, f'{name}.mp4')}", which, None, None, tuple(segments))
        for name, segments in sorted(found.items())
    ]
    return of_subset(path, videos, subset)


def _line(path, number: int, line: str, label: str, labels) -> tuple[str, Segment]:
    if labels is not None and label not in labels:
        raise FormatError(path, number, f"expected one of the {len(labels)} known labels, found {shown(label)}")
    words = line.split()
    try:
        name, start, end = words[0], *map(float, words[1:])
    except ValueError:
        start, end = 1.0, 0.0
    if len(words) != 3 or not 0 <= start <= end < float("inf"):
        raise FormatError(path, number, f"expected `video start end` in seconds with start <= end, found {shown(line)}")
    return name, Segment(label, start, end)


def segment_labels(videos) -> dict[str, int]:
    """Class name -> label number: from the file, or in alphabetical order if it has none. FormatError unless they match one to one."""
    pairs = {(segment.label, segment.label_id) for video in videos for segment in video.segments}
    names = sorted({name for name, _ in pairs})
    if all(number is None for _, number in pairs):
        return {name: index for index, name in enumerate(names)}
    numbers = dict(pairs)
    if len(pairs) != len(names) or None in numbers.values() or len(set(numbers.values())) != len(names):
        raise FormatError("annotations", None, "expected one label_id for each label and one label for each label_id")
    return dict(sorted(numbers.items(), key=lambda pair: pair[1]))


def write_activitynet_json(path, videos, version: str = "1.0") -> None:
    def segment(s: Segment) -> dict:
        number = {} if s.label_id is None else {"label_id": s.label_id}
        return {"label": s.label, "segment": [s.start, s.end], **number}

    def video(v: UntrimmedVideo) -> dict:
        rate = {} if v.fps is None else {"fps": v.fps}
        return {"subset": v.subset, "duration": v.duration, **rate, "annotations": [segment(s) for s in v.segments]}

    content = {"version": version, "database": {v.id: video(v) for v in videos}}
    write_json(path, content)
