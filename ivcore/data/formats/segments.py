"""Untrimmed videos with labelled segments in ActivityNet's JSON, which THUMOS14, HACS and FineAction are also released in.

{"database": {"video_1": {"subset": "Test", "duration": 33.67, "fps": 30.0,
  "annotations": [{"label": "CricketBowling", "segment": [0.2, 1.1], "label_id": 5}]}}}
"""

from dataclasses import dataclass

from ivcore.data.formats.text import base_folder, parse_rows
from ivcore.data.formats.tree import Node, read_json, write_json
from ivcore.errors import FormatError, shown


@dataclass(frozen=True, slots=True)
class Segment:
    """One instance, in seconds. `label_id` is None in files that give only names: see `segment_labels`."""

    label: str
    start: float
    end: float
    label_id: int | None = None


@dataclass(frozen=True, slots=True)
class UntrimmedVideo:
    id: str
    path: str
    subset: str
    duration: float
    fps: float | None
    segments: tuple[Segment, ...]


def read_activitynet_json(path, root=None, suffix: str = ".mp4", subset: str | None = None) -> list[UntrimmedVideo]:
    """All videos in the order of the file, or those of one subset (compared without case, as the published code does).

    A video is `<root or the file's folder>/<id><suffix>`. Segments need 0 <= start <= end; an end past the duration is kept as it
    is, since released files have such ends.
    """
    base = base_folder(path, root)
    listed = read_json(path).get("database").items()
    videos = parse_rows(path, lambda name, node: _video(name, node, base, suffix), listed)
    if subset is None:
        return videos
    chosen = [video for video in videos if video.subset.lower() == subset.lower()]
    if not chosen:
        present = ", ".join(sorted({video.subset for video in videos}))
        raise FormatError(path, None, f"expected videos of the subset {subset!r}; subsets present: {present}")
    return chosen


def _video(name: str, node: Node, base: str, suffix: str) -> UntrimmedVideo:
    fps = node.get("fps", None)
    return UntrimmedVideo(
        id=name,
        path=f"{base}/{name}{suffix}",
        subset=node.get("subset").text(),
        duration=node.get("duration").number("a duration in seconds"),
        fps=None if fps.value is None else fps.number("frames per second above 0", minimum=1e-6),
        segments=tuple(parse_rows(node.document.path, _segment, node.get("annotations", []).entries(), minimum=0)),
    )


def _segment(node: Node) -> Segment:
    span = node.get("segment")
    ends = [end.number("seconds from 0") for end in span.entries()]
    if len(ends) != 2 or ends[0] > ends[1]:
        span.fail(f"expected [start, end] in seconds with start <= end, found {shown(span.value)}")
    number = node.get("label_id", None)
    return Segment(node.get("label").text(), *ends, None if number.value is None else number.whole())


def segment_labels(videos) -> dict[str, int]:
    """Label number of every class name: as in the file, or by alphabet if it gives no numbers."""
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
