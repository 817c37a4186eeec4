"""Decoded videos in a few choices of frames and crops that are drawn once: what is computed of a clip can then be kept for every epoch."""

from collections.abc import Callable, Sequence

import numpy as np

from ivcore.video import augment


class Takes:
    """Item t * N + i is take t of video i: batches dict(video uint8 (B, F, H, W, 3), label int64 (B,)).

    columns: what `data.decoded.load` gives, N videos of equal length. sampler(length, rng=...) gives a take's F frames; all takes are
    drawn here, take by take and video by video, and after them with `scales` a MultiScaleCrop box each. Without `rng` there is the one
    deterministic take, uncropped.
    """

    def __init__(self, columns: dict, sampler: Callable, takes: int = 1, rng: np.random.Generator | None = None,
                 scales: Sequence[float] = (1.0,)):  # fmt: skip
        self.columns = columns
        number, length = columns["video"].shape[:2]
        times = 1 if rng is None else takes
        self.frames = np.stack([sampler(length, rng=rng) for _ in range(times * number)])
        self.boxes = None
        if rng is not None and tuple(scales) != (1.0,):
            height, width = columns["video"].shape[2:4]
            size = min(height, width)
            self.boxes = augment.multi_scale_boxes(height, width, size, rng, len(self.frames), tuple(scales))

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def paths(self) -> list[str]:
        """The file of every take."""
        return [self.columns["path"][i % len(self.columns["path"])] for i in range(len(self))]

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        import torch

        del epoch  # nothing is drawn anew
        videos = indices % len(self.columns["video"])
        chosen = self.columns["video"][videos[:, None], self.frames[indices]]
        return {
            "video": self._cropped(chosen, indices),
            "label": torch.from_numpy(self.columns["label"][videos]),
        }

    def _cropped(self, video: np.ndarray, indices: np.ndarray):
        import torch

        if self.boxes is None:
            return torch.from_numpy(video)
        boxes, size = [self.boxes[i] for i in indices], min(video.shape[2:4])
        return augment.crop_resize_batch(video, boxes, size, np.zeros(len(boxes), bool))
