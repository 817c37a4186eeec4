"""Labelled videos as clips: a map-style dataset for training, the same from files and from memory.

An item is a pure function of (seed, epoch, index), so a resumed run sees the same items as an uninterrupted one, wherever the videos lie
and however many processes share them. In training the next readable video replaces an unreadable one. Evaluation never replaces a
video: see `ivcore.data.views`.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from ivcore.data.bad_videos import BadVideos
from ivcore.data.records import frames_of
from ivcore.errors import UserError, VideoError


class Clips:
    """Items dict(video uint8 (T, H, W, 3), label int, index int, path str, draw int); `label` is -1 if a record has none.

    records: see `data.records`; files, or decoded (`data.memory.load`).
    sampler: a function from a frame count to frame indices, e.g. `partial(sampling.dense, num_frames=16, stride=4)`; with `random` it also
    gets a generator `rng` if it takes one. pace: a function from a frame count and frames per second to the sampler's stride, used if the
    frame rate is known. A record's own stride goes before both.
    size: short side in pixels or (height, width); strict: damaged pictures make a file unreadable; both as in VideoReader.
    transform(video, rng): returns the video of the item. draw: an integer below 2**31 that belongs to the item, for later random steps
    (see `losses.classification`).
    max_bad, run_dir: see `BadVideos`. An unreadable video is replaced by the next readable record, and `index` is that record's;
    without `random` it raises VideoError. UserError for an empty list, and if no video can be read.
    """

    def __init__(
        self,
        records: Sequence,
        sampler: Callable,
        size=None,
        *,
        seed: int = 0,
        random: bool = True,
        transform: Callable | None = None,
        pace: Callable[[int, float], int] | None = None,
        max_bad: int | float | None = None,
        run_dir=None,
        strict: bool = False,
    ):
        if not len(records):
            raise UserError("no videos: the list of records is empty")
        self.records = records
        self.sampler, self.size, self.seed, self.transform, self.pace = sampler, size, seed, transform, pace
        self.strict, self.random = strict, random
        taken = inspect.signature(sampler).parameters
        self.drawn, self.strided = random and "rng" in taken, "stride" in taken
        self.bad = BadVideos([record.path for record in records], max_bad, run_dir)
        self.unreadable = {i for i, record in enumerate(records) if getattr(record, "video", record) is None}

    def __len__(self) -> int:
        return len(self.records)

    @property
    def paths(self) -> list[str]:
        """The file of each item; known unreadable files are replaced."""
        return [self.records[next(self._readable(index), index)].path for index in range(len(self))]

    def item(self, index: int, epoch: int = 0) -> dict:
        """The clip of one record in one epoch. Errors as in the class."""
        for candidate in self._readable(int(index)):
            record = self.records[candidate]
            try:
                video, draw = self.clip(record, np.random.default_rng((self.seed, epoch, int(index))))
            except VideoError as error:
                if not self.random:
                    raise
                self.unreadable.add(candidate)
                self.bad.add(error)
                continue
            label = getattr(record, "label", None)
            label = -1 if label is None else label
            return {"video": video, "label": label, "index": candidate, "path": record.path, "draw": draw}
        raise UserError(f"none of the {len(self)} videos can be read, e.g. {self.bad.example()}")

    def _readable(self, index: int) -> Iterator[int]:
        """The record of an item, then those after it and from the start, without records known to be unreadable."""
        candidates = ((index + step) % len(self) for step in range(len(self)))
        return (candidate for candidate in candidates if candidate not in self.unreadable)

    def clip(self, record, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Returns (clip, draw) of a record, drawn with `rng`."""
        with frames_of(record, self.size, self.strict) as (length, read, fps):
            stride = getattr(record, "stride", None) or (self.pace and fps and self.pace(length, fps))
            sampler = partial(self.sampler, stride=stride) if stride and self.strided else self.sampler
            video = read(np.asarray(sampler(length, rng=rng) if self.drawn else sampler(length)))
        video = video if self.transform is None else self.transform(video, rng)
        return video, int(rng.integers(1 << 31))
