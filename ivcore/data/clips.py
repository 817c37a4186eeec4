"""Labelled video files as clips: a map-style dataset for training from files, and whole sets decoded into memory.

What a `Clips` item shows is a pure function of (seed, epoch, index), so a resumed run sees what an uninterrupted one would have
seen. Files that cannot be read are replaced by the next good one, counted, listed in `<run folder>/bad_videos.jsonl`, and too many
of them stop the run.
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


def as_records(records, root=None) -> list:
    """Records as they are; a path is read as Kinetics CSV (`path label`) or as a pretraining list, with relative paths from `root` or its folder.

    Raises UserError where none of the first files exists: then it is the folder that is wrong and not a video.
    """
    source = records
    if isinstance(records, (str, os.PathLike)):
        records = formats.read_video_list(records, root)
    first = [record.path for record in records[:10]]
    if not first:
        raise UserError("no videos: the list of records is empty")
    if not any(os.path.exists(path) for path in first):
        named = f"{source}: " if source is not records else ""
        raise UserError(
            f"{named}none of the first {len(first)} videos exists, e.g. {first[0]} (relative paths start from "
            f"the list's own folder, or from the folder given as root)"
        )
    return list(records)


class Clips:
    """Items dict(video uint8 (T, H, W, 3), label int, index int, path str), `label` -1 where a record has none.

    records: a list of records with `.path` (a video file, or a folder of frames) and maybe `.label`, or the path of a list. Records of part of
    a video (`start` and `end` in seconds, or `span`) are sampled within that part, those with a `stride` at their own.
    sampler: frame indices from a frame count, e.g. `partial(sampling.dense, num_frames=16, stride=4)`; with `random` it is also given
    a generator where it takes one.
    size: short side in pixels or (height, width), as in VideoReader. transform(video, rng) replaces the video by what it returns.
    max_bad: how many unreadable files are passed over before a UserError; by default one in twenty, and at least one.
    An unreadable file gives the clip of the next good record instead, and `index` says which record that is.
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
        max_bad: int | None = None,
        run_dir=None,
    ):
        self.records = as_records(records, root)
        self.sampler, self.size, self.seed, self.transform = sampler, size, seed, transform
        takes = inspect.signature(sampler).parameters
        self.random, self.strided = random and "rng" in takes, "stride" in takes
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
            try:
                video = self._video(record, np.random.default_rng((self.seed, epoch, int(index))))
            except VideoError as error:
                self.bad.add(error)
                continue
            label = getattr(record, "label", None)
            label = -1 if label is None else label
            return {"video": video, "label": label, "index": int(candidate), "path": record.path}
        raise UserError(f"none of the {len(self)} videos can be read, e.g. {self.bad.example()}")

    def _video(self, record, rng: np.random.Generator):
        own = self.strided and getattr(record, "stride", None)
        sampler = partial(self.sampler, stride=own) if own else self.sampler
        with open_video(record.path, self.size) as reader:
            first, stop = span(record, reader)
            indices = sampler(stop - first, rng=rng) if self.random else sampler(stop - first)
            video = reader.read(first + indices)
        return video if self.transform is None else self.transform(video, rng)


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
    """The unreadable files of a set: passed over up to a limit and listed, one JSON object a line, in the run folder.

    Workers and resumed runs share the list, so the limit holds for all of them together; without `run_dir` each counts for itself.
    """

    def __init__(self, paths: list[str], limit: int | None = None, run_dir=None):
        if limit is not None and (int(limit) != limit or limit < 0):
            raise ParameterError(f"max_bad={limit!r}: must be a whole number from 0")
        self.paths = set(paths)
        self.total = len(self.paths)
        self.limit = max(1, self.total // 20) if limit is None else int(limit)
        self.file = None if run_dir is None else Path(run_dir) / "bad_videos.jsonl"
        self.causes: dict[str, str] = {}

    def add(self, error: VideoError) -> None:
        """Notes a file; UserError once there are more than the limit."""
        self._read()
        if error.path not in self.causes:
            self.causes[error.path] = error.cause
            self._append(error)
        if len(self.causes) > self.limit:
            listed = f"; all are listed in {self.file}" if self.file else ""
            raise UserError(
                f"{len(self.causes)} of {self.total} videos cannot be read, more than max_bad={self.limit}, "
                f"e.g. {self.example()}{listed}"
            )

    def example(self) -> str:
        return ": ".join(next(iter(self.causes.items()), ("(no file)", "")))

    def _read(self) -> None:
        """Takes over what other workers and earlier runs have listed; a line cut off by a kill is passed over."""
        if self.file is None or not self.file.exists():
            return
        for line in self.file.read_text().splitlines():
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
        with open(self.file, "a") as file:
            file.write(json.dumps(entry) + "\n")
