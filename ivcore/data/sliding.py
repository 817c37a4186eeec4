"""Overlapping windows of a video of any length: each frame is decoded once and shared, and memory does not grow with the length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ivcore.data.video_answers import Answer, VideoModel
from ivcore.data.windows import Window
from ivcore.errors import ParameterError, VideoError
from ivcore.video import augment
from ivcore.video.frame_folder import open_video

AT_ONCE = 32  # windows given to an encoder together: more are no faster, and they determine the peak of memory
BYTES = 32 << 20  # largest size of their clips


@dataclass(frozen=True)
class Sliding:
    """Windows of num_frames frames, sampling_rate frames apart, starting every `stride` frames. ParameterError for a number below 1."""

    num_frames: int
    stride: int
    sampling_rate: int = 1

    def __post_init__(self):
        for name, value in vars(self).items():
            if value < 1:
                raise ParameterError(f"{name}={value}: must be at least 1")

    @property
    def span(self) -> int:
        """The number of frames of the video that a window covers."""
        return self.num_frames * self.sampling_rate

    def count(self, length: int) -> int:
        """The number of windows that fit into a video of `length` frames; 1 for a shorter video."""
        return max(1, (length - self.span) // self.stride + 1)


def of_usage(model: VideoModel, stride: int) -> Sliding:
    """Windows as long as a clip of the model. ParameterError for a model that also sees frames of the whole video."""
    used = model.usage
    if used.multimodal_frames:
        raise ParameterError(
            f"{model.name}: sees frames of the whole video beside a clip, so it has no features of windows that overlap"
        )
    return Sliding(used.num_frames, stride, used.sampling_rate if used.frame_sampling == "dense" else 1)


def windows(video, sliding: Sliding, most: int) -> Iterator[np.ndarray]:
    """Yields uint8 (n, num_frames, H, W, 3): the windows of an open video in order, n <= `most`. A short video repeats its last frame."""
    length, count = len(video), sliding.count(len(video))
    kept, first = video.read([]), 0
    offsets = np.arange(sliding.num_frames) * sliding.sampling_rate
    for start in range(0, count, most):
        starts = np.arange(start, min(start + most, count)) * sliding.stride
        done, stop = max(first + len(kept), starts[0]), min(starts[-1] + sliding.span, length)
        kept = np.concatenate((kept[starts[0] - first :], video.read(np.arange(done, stop))))
        first = starts[0]
        yield kept[(starts[:, None] - first + offsets).clip(max=len(kept) - 1)]


def clips(path: str, sliding: Sliding, size: int, strict: bool = False) -> Iterator[tuple[np.ndarray, list[Window]]]:
    """Yields (clips uint8 (W, num_frames, size, size, 3), their windows) of a file or a folder of frames, some at a time; middle squares.

    Raises VideoError for an unreadable video.
    """
    most = max(1, min(AT_ONCE, BYTES // (sliding.num_frames * size * size * 3)))
    with open_video(path, size, strict) as video:
        times, end, done = video.times, float(video.times[-1]) + 1 / video.fps, 0
        for some in windows(video, sliding, most):
            firsts = [(done + n) * sliding.stride for n in range(len(some))]
            stops = [min(first + sliding.span, len(times)) for first in firsts]
            done += len(some)
            square = augment.centre_crop(some.reshape(-1, *some.shape[2:]), size)
            ends = [float(times[stop]) if stop < len(times) else end for stop in stops]
            yield square.reshape(*some.shape[:2], size, size, 3), [Window(f, s, float(times[f]), e) for f, s, e in zip(firsts, stops, ends)]  # fmt: skip


@torch.inference_mode()
def answers(
    function: Callable[[Tensor], Tensor], of: VideoModel, todo: Sequence, sliding: Sliding, strict: bool = False
) -> Iterator[tuple[int, Answer | VideoError]]:
    """Yields (index in `todo`, `function` of all windows of that video, or its VideoError), in order. todo: objects with a `path`.

    function(uint8 (B, T, size, size, 3)) -> (B, D), as in `data.video_answers`.
    """
    device = next(of.model.parameters()).device
    for index, video in enumerate(todo):
        values, seen = (
            bytearray(),
            [],
        )  # one growing block: small blocks between the large ones of an encoder would prevent reuse of these
        try:
            for some, of_some in clips(video.path, sliding, of.usage.image_size, strict):
                values += function(torch.from_numpy(some).to(device)).float().cpu().numpy().tobytes()
                seen += of_some
        except VideoError as error:
            yield index, error
        else:
            rows = torch.frombuffer(values, dtype=torch.float32)
            yield index, Answer(rows.view(len(seen), 1, -1), tuple(seen))
