"""Alternates videos and images: co-training takes a batch of one kind at each step, never a mixture (paper 4.2.1).

A batch is a pure function of its step, as in `Batches`, so a resumed run continues as if it had not stopped.
"""

from collections.abc import Iterator

import numpy as np

from ivcore.data.batches import BatchStream
from ivcore.errors import ParameterError


class RoundRobin:
    """Batches of videos at even steps and of images at odd ones; with `ratio` (v, i), v steps of videos, then i of images. A `BatchStream`.

    Each kind has its own batch size and workers (the paper: 14,336 videos and 86,016 images). Clips of a batch of images have a single
    frame. `batch_size` is that of the videos; a recipe must use the same. An epoch, `len()`, is one pass over the videos. ParameterError
    for a ratio that is not two whole numbers from 1.
    """

    def __init__(self, videos: BatchStream, images: BatchStream, ratio: tuple[int, int] = (1, 1)):
        if len(ratio) != 2 or any(int(n) != n or n < 1 for n in ratio):
            raise ParameterError(f"ratio={ratio!r}: must be two whole numbers, steps of videos and of images")
        self.videos, self.images, self.ratio = videos, images, (int(ratio[0]), int(ratio[1]))
        self.batch_size = videos.batch_size

    def __len__(self) -> int:
        videos, images = self.ratio
        return -(-len(self.videos) * (videos + images) // videos)

    def share(self, rank: int, world: int) -> "RoundRobin":
        """The stream of the part of rank `rank` of `world` of each batch, in the same order of kinds."""
        return RoundRobin(self.videos.share(rank, world), self.images.share(rank, world), self.ratio)

    def indices(self, step: int) -> np.ndarray:
        """int64 (B,): the videos, or the images, of this step's batch."""
        stream, own = self._turn(step)
        return stream.indices(own)

    def fetch(self, step: int):
        """The batch of one step, made in this process."""
        stream, own = self._turn(step)
        return stream.fetch(own)

    def iter_from(self, step: int = 0, stop: int | None = None) -> Iterator:
        """Batches of steps step, step + 1, … (up to but not including `stop`). Each kind has its own workers that fetch ahead."""
        ends = (None, None) if stop is None else self._before(stop)
        videos, images = (
            iter(stream.iter_from(begin, end))
            for stream, begin, end in zip((self.videos, self.images), self._before(step), ends)
        )
        while stop is None or step < stop:
            yield next(videos if self._turn(step)[0] is self.videos else images)
            step += 1

    def _before(self, step: int) -> tuple[int, int]:
        """(number of video steps, number of image steps) among the first `step` steps."""
        videos, images = self.ratio
        cycles, place = divmod(step, videos + images)
        return cycles * videos + min(place, videos), cycles * images + max(place - videos, 0)

    def _turn(self, step: int) -> tuple[BatchStream, int]:
        """(the stream of a step, the number of the step in that stream)"""
        is_video = step % sum(self.ratio) < self.ratio[0]
        of_videos, of_images = self._before(step)
        return (self.videos, of_videos) if is_video else (self.images, of_images)

    def identity(self) -> dict:
        """The settings that a resumed run must share with the run it continues."""
        kinds = {"videos": self.videos.identity(), "images": self.images.identity()}
        named = {f"{kind} {name}": value for kind, facts in kinds.items() for name, value in facts.items()}
        return {**named, "ratio": list(self.ratio)}
