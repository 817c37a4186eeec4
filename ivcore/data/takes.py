"""Decoded videos in a few choices of frames that are drawn once: what is computed of a clip can then be kept for every epoch."""

from collections.abc import Callable

import numpy as np


class Takes:
    """Item t * N + i is take t of video i: batches dict(video uint8 (B, F, H, W, 3), label int64 (B,)).

    columns: what `data.decoded.load` gives, N videos of equal length. sampler(length, rng=...) gives a take's F frames; all takes are
    drawn here, take by take and video by video. Without `rng` there is the one deterministic take.
    """

    def __init__(
        self, columns: dict, sampler: Callable, takes: int = 1, rng: np.random.Generator | None = None
    ):
        self.columns = columns
        number, length = columns["video"].shape[:2]
        times = 1 if rng is None else takes
        self.frames = np.stack([sampler(length, rng=rng) for _ in range(times * number)])

    def __len__(self) -> int:
        return len(self.frames)

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        import torch

        del epoch  # nothing is drawn anew
        videos = indices % len(self.columns["video"])
        chosen = self.columns["video"][videos[:, None], self.frames[indices]]
        return {
            "video": torch.from_numpy(chosen),
            "label": torch.from_numpy(self.columns["label"][videos]),
        }
