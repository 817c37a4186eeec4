"""Videos and images in turn: co-training takes a batch of one kind at each step, never a mixture (paper 4.2.1).

Every step is a pure function of its number, as in `Batches`, so that a resumed run goes on as if it had not stopped.
"""

from collections.abc import Iterator

import numpy as np

from ivcore.data.batches import Batches
from ivcore.errors import ParameterError


class RoundRobin:
    """`Batches` of videos at even steps and of images at odd ones; with `ratio` (v, i), v steps of videos and then i of images.

    Either may be anything with the interface of `Batches`, with a batch size and workers of its own (the paper: 14,336 videos and
    86,016 images). A batch of images is told by its single frame. `batch_size` is that of the videos, which a recipe must agree with,
    and an epoch, `len()`, is one pass over the videos.
    """

    def __init__(self, videos: Batches, images: Batches, ratio: tuple[int, int] = (1, 1)):
        if len(ratio) != 2 or any(int(n) != n or n < 1 for n in ratio):
            raise ParameterError(f"ratio={ratio!r}: must be two whole numbers, steps of videos and of images")
        self.videos, self.images, self.ratio = videos, images, (int(ratio[0]), int(ratio[1]))
        self.batch_size = videos.batch_size

    def __len__(self) -> int:
        videos, images = self.ratio
        return -(-len(self.videos) * (videos + images) // videos)

    def share(self, rank: int, world: int) -> "RoundRobin":
        """The same turns, of which rank `rank` of `world` gets its part of each batch."""
        return RoundRobin(self.videos.share(rank, world), self.images.share(rank, world), self.ratio)

    def turn(self, step: int) -> tuple[Batches, int]:
        """Whose turn it is at a step, and which of its own steps that is."""
        videos, images = self.ratio
        cycle, place = divmod(step, videos + images)
        if place < videos:
            return self.videos, cycle * videos + place
        return self.images, cycle * images + place - videos

    def place(self, step: int) -> tuple[int, int]:
        """(epoch, batch within it) of a step; both count from 0."""
        return divmod(step, len(self))

    def indices(self, step: int) -> np.ndarray:
        """int64 (B,): which videos, or which images, make up the batch of this step."""
        batches, own = self.turn(step)
        return batches.indices(own)

    def fetch(self, step: int):
        """The batch of one step, made in this process."""
        batches, own = self.turn(step)
        return batches.fetch(own)

    def iter_from(self, step: int = 0, stop: int | None = None) -> Iterator:
        """Batches of steps step, step + 1, … (up to but not including `stop`); both kinds are fetched ahead by workers of their own."""
        streams = {
            id(batches): iter(batches.iter_from(*self._span(batches, step, stop)))
            for batches in (self.videos, self.images)
        }
        while stop is None or step < stop:
            yield next(streams[id(self.turn(step)[0])])
            step += 1

    def _span(self, batches: Batches, step: int, stop: int | None) -> tuple[int, int | None]:
        """The steps of `batches` that fall into steps step … stop - 1."""
        return self._before(batches, step), None if stop is None else self._before(batches, stop)

    def _before(self, batches: Batches, step: int) -> int:
        """How many of the first `step` steps are of `batches`."""
        videos, images = self.ratio
        cycles, place = divmod(step, videos + images)
        if batches is self.videos:
            return cycles * videos + min(place, videos)
        return cycles * images + max(place - videos, 0)

    def __iter__(self) -> Iterator:
        """One epoch, the first."""
        return self.iter_from(0, len(self))

    def identity(self) -> dict:
        """What a resumed run must have in common with the run it continues."""
        parts = {"videos": self.videos.identity(), "images": self.images.identity()}
        named = {f"{kind} {name}": value for kind, part in parts.items() for name, value in part.items()}
        return {**named, "ratio": list(self.ratio)}
