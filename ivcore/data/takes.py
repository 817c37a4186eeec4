"""Decoded videos in a few choices of frames and crops that are drawn once: what is computed of a clip can then be kept for every epoch."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ivcore.data.clips import draw_clip, is_drawn
from ivcore.video import augment


class Takes:
    """Item t * N + i is take t of video i: batches dict(video uint8 (B, F, S, S, 3), label and index int64 (B,)).

    columns: what `data.decoded.load` gives, N videos. sampler(length, rng=...) gives a take's F frames. A take is drawn once, by its own
    generator of (seed, t, i): its frames, and with `scales` a MultiScaleCrop box. Without `seed` there is the one deterministic take,
    the middle square.
    """

    def __init__(self, columns: dict, sampler: Callable, size: int, takes: int = 1, seed: int | None = None,
                 scales: Sequence[float] = (1.0,)):  # fmt: skip
        self.columns, self.size, self.seed = columns, size, seed
        self.sampler, self.drawn = sampler, seed is not None and is_drawn(sampler)
        whole = seed is None or tuple(scales) == (1.0,)
        self.crop = partial(_whole if whole else _multi_scale, size=size, scales=tuple(scales))
        self.takes = 1 if seed is None else takes
        self.index = columns.get("index", np.arange(len(columns["video"])))

    def __len__(self) -> int:
        return self.takes * len(self.columns["video"])

    @property
    def paths(self) -> list[str]:
        """The video of each item."""
        return list(self.columns["path"]) * self.takes

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        import torch

        del epoch  # nothing is drawn anew
        takes, rows = np.divmod(indices, len(self.columns["video"]))
        clips = [self._clip(int(take), int(row)) for take, row in zip(takes, rows)]
        return {
            "video": torch.from_numpy(np.stack(clips)),
            "label": torch.from_numpy(self.columns["label"][rows]),
            "index": torch.from_numpy(self.index[rows]),
        }

    def _clip(self, take: int, row: int) -> np.ndarray:
        video = self.columns["video"][row]
        rng = np.random.default_rng((self.seed or 0, take, int(self.index[row])))
        return draw_clip(len(video), video.__getitem__, self.sampler, self.drawn, self.crop, rng)[0]


def _whole(video: np.ndarray, rng: np.random.Generator, size: int, scales) -> np.ndarray:
    return augment.centre_crop(video, size)


def _multi_scale(video: np.ndarray, rng: np.random.Generator, size: int, scales) -> np.ndarray:
    return augment.multi_scale_crop(video, size, rng, scales)
