"""Labelled video files as clips: a map-style dataset for training from files, and the list of files that cannot be read.

What a `Clips` item shows is a pure function of (seed, epoch, index), so a resumed run sees what an uninterrupted one would have
seen. In training a file that cannot be read is replaced by the next good one, counted and listed in `<run folder>/bad_videos.jsonl`, and
too many of them stop the run. Evaluation never replaces a video: see `ivcore.data.views`.
"""

import inspect
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ivcore.data import formats
from ivcore.errors import ParameterError, UserError, VideoError
from ivcore.video.frame_folder import open_video

MAX_BAD = 0.05  # share of a set's files


def as_records(records, root=None) -> list:
    """Records as they are; a path is read as Kinetics CSV (`path label`) or as a pretraining list, with relative paths from `root` or its folder.

    Raises UserError where none of the files exists: then it is the folder that is wrong and not a video.
    """
    source = records
    if isinstance(records, (str, os.PathLike)):
        records = formats.read_video_list(records, root)
    if not len(records):
        raise UserError("no videos: the list of records is empty")
    if not any(os.path.exists(record.path) for record in records):
        named = f"{source}: " if source is not records else ""
        raise UserError(
            f"{named}none of the {len(records)} videos exists, e.g. {records[0].path} (relative paths start from "
            f"the list's own folder, or from the folder given as root)"
        )
    return list(records)


def is_drawn(sampler: Callable) -> bool:
    """Whether a sampler takes a generator `rng` beside the frame count."""
    return "rng" in inspect.signature(sampler).parameters


def draw_clip(length: int, read: Callable, sampler: Callable, drawn: bool, transform: Callable | None, rng) -> tuple:  # fmt: skip
    """(clip, draw) of a video of `length` frames: what one item shows, from memory and from files alike.

    read(indices) gives uint8 (T, H, W, 3). rng: the item's own generator, which the sampler is given if it is `drawn`. draw: a number below
    2**31 that is the item's own as well, for what is random later (see `losses.classification`).
    """
    video = read(np.asarray(sampler(length, rng=rng) if drawn else sampler(length)))
    return (video if transform is None else transform(video, rng)), int(rng.integers(1 << 31))


class Clips:
    """Items dict(video uint8 (T, H, W, 3), label int, index int, path str, draw int), `label` -1 where a record has none.

    records: a list of records with `.path` (a video file, or a folder of frames) and maybe `.label`, or the path of a list. Records of part of
    a video (`start` and `end` in seconds, or `span`) are sampled within that part, those with a `stride` at their own.
    sampler: frame indices from a frame count, e.g. `partial(sampling.dense, num_frames=16, stride=4)`; with `random` it is also given
    a generator where it takes one.
    size: short side in pixels or (height, width), as in VideoReader. transform(video, rng) replaces the video by what it returns.
    strict: as in VideoReader: damaged pictures make a file unreadable. max_bad: see `BadVideos`. An unreadable file gives the clip of the next good record instead, and `index` says which record that is.
    """

    def __init__(
        self,
        records,
        sampler: Callable,
        size=None,
        *,
        seed: int = 0,
        random: bool = True,
        transform: Callable | None = None,
        root=None,
        max_bad: int | float | None = None,
        run_dir=None,
        strict: bool = False,
    ):
        self.records = as_records(records, root)
        self.sampler, self.size, self.seed, self.transform = sampler, size, seed, transform
        self.strict = strict
        self.random, self.drawn = random, random and is_drawn(sampler)
        self.bad = BadVideos([record.path for record in self.records], max_bad, run_dir)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict:
        return self.item(index, 0)

    def item(self, index: int, epoch: int = 0) -> dict:
        """The clip of one record in one epoch."""
        for candidate in (np.arange(len(self)) + index) % len(self):
            record = self.records[candidate]
            if record.path in self.bad.causes:
                continue
            rng = np.random.default_rng((self.seed, epoch, int(index)))
            try:
                video, draw = self._clip(record, rng)
            except VideoError as error:
                if not self.random:
                    raise
                self.bad.add(error)
                continue
            label = getattr(record, "label", None)
            label = -1 if label is None else label
            return {
                "video": video,
                "label": label,
                "index": int(candidate),
                "path": record.path,
                "draw": draw,
            }
        raise UserError(f"none of the {len(self)} videos can be read, e.g. {self.bad.example()}")

    def _clip(self, record, rng: np.random.Generator) -> tuple:
        sampler = at_stride(self.sampler, getattr(record, "stride", None))
        with open_video(record.path, self.size, self.strict) as reader:
            first, stop = span(record, reader)
            read = lambda indices: reader.read(first + indices)  # noqa: E731
            return draw_clip(stop - first, read, sampler, self.drawn, self.transform, rng)


def at_stride(sampler: Callable, stride: int | None) -> Callable:
    """The sampler with a record's own stride, where the record has one and the sampler takes one."""
    return (
        partial(sampler, stride=stride)
        if stride and "stride" in inspect.signature(sampler).parameters
        else sampler
    )


def span(record, reader) -> tuple[int, int]:
    """The frames [first, stop) that a record is about: the whole video, what is on screen from `start` to `end` seconds, or its own `span`."""
    if hasattr(record, "span"):
        return record.span(len(reader))
    if not hasattr(record, "end"):
        return 0, len(reader)
    first, stop = np.searchsorted(reader.times, [record.start, record.end])
    first = min(first, len(reader) - 1)
    return int(first), int(max(stop, first + 1))


class BadVideos:
    """The files of a set that are missing or unreadable: passed over up to a limit and listed, one JSON object a line, in the run folder.

    limit: how many, or as a float which share of the files, at least one file then unless it is 0; by default one in twenty.
    Workers and resumed runs share the list, so the limit holds for all of them together; without `run_dir` each counts for itself.
    """

    def __init__(self, paths: list[str], limit: int | float | None = None, run_dir=None):
        self.paths = set(paths)
        self.total = len(self.paths)
        self.limit, self.allowed = _limit(MAX_BAD if limit is None else limit, self.total)
        self.file = None if run_dir is None else Path(run_dir) / "bad_videos.jsonl"
        self.causes: dict[str, str] = {}

    def add(self, error: VideoError) -> None:
        """Notes a file; UserError once there are more than the limit."""
        self.note(error)
        self.refuse_too_many()

    def note(self, error: VideoError) -> None:
        """Notes a file, however many there are."""
        self._read()
        if error.path not in self.causes:
            self.causes[error.path] = error.cause
            self._append(error)

    def refuse_too_many(self) -> None:
        if len(self.causes) <= self.limit:
            return
        self._note_missing()
        listed = f"; those found are listed in {self.file}" if self.file else ""
        raise UserError(
            f"{len(self.causes)} of {self.total} videos cannot be read, more than max_bad={self.allowed}, "
            f"e.g. {self.example()}{listed}; `iv check` on the list finds all, a larger max_bad passes over them"
        )

    def _note_missing(self) -> None:
        """What is not there is found at once, so that the list names all of it."""
        for path in sorted(self.paths):
            if not os.path.exists(path):
                self.note(VideoError(path, "there is no such file"))

    def example(self) -> str:
        return ": ".join(next(iter(self.causes.items()), ("(no file)", "")))

    def _read(self) -> None:
        """Takes over what other workers and earlier runs have listed; a line cut off by a kill is passed over."""
        if self.file is None or not self.file.exists():
            return
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry["path"] in self.paths:
                self.causes.setdefault(entry["path"], entry["cause"])

    def _append(self, error: VideoError) -> None:
        if self.file is None:
            return
        entry = {"path": error.path, "cause": error.cause, "count": len(self.causes)}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _limit(given: int | float, total: int) -> tuple[int, int | float]:
    """(how many files, the limit as it was given)"""
    if isinstance(given, float) and 0 <= given <= 1:
        return (max(1, int(given * total)) if given else 0), given
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given, given
    raise ParameterError(f"max_bad={given!r}: must be a whole number from 0, or a share in [0.0, 1.0]")
