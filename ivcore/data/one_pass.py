"""One pass over a video of any length: overlapping windows share decoded frames and, if the encoder sees each frame alone, its tokens.

    way = Pass.of(model, fps=25.0, span=4.0, every=1.0)
    for part in way.parts("film.mp4", model, model.features):
        part.values, part.windows                                        # (W, D), and the time of each window

Frames are read and encoded in blocks with fixed starts, and windows are evaluated in parts with fixed starts. So a pass that begins in the
middle gives the same numbers, to the bit, as a pass from the start.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ivcore.data.sliding import AT_ONCE, BYTES, Sliding
from ivcore.data.video_answers import VideoModel
from ivcore.data.windows import Window, ahead
from ivcore.errors import ParameterError
from ivcore.video import augment
from ivcore.video.frame_folder import open_video
from ivcore.video.sampling import stride_of

BLOCK = 32  # frames decoded together, and encoded frame by frame in one call
TOKEN_BYTES = 256 << 20  # of the tokens of the windows of a part


class Thinned:
    """Every `step`th frame of an open video, with the video's len() and read()."""

    def __init__(self, video, step: int):
        self.video, self.step = video, step

    def __len__(self) -> int:
        return -(-len(self.video) // self.step)

    def read(self, indices) -> np.ndarray:
        return self.video.read(np.asarray(indices, np.int64) * self.step)


@dataclass(frozen=True)
class Part:
    """W consecutive windows: values (W, D); frames uint8 (N, size, size, 3); index (W, T): window w sees frames[index[w]]."""

    windows: list[Window]
    values: np.ndarray
    frames: np.ndarray
    index: np.ndarray


@dataclass(frozen=True)
class Pass:
    """Windows of num_frames frames, `step` frames of the video apart; the next window begins `stride` such frames later. If the last of these
    does not reach the video's end, one more window ends there. share: share tokens, too."""

    num_frames: int
    stride: int
    step: int
    share: bool

    @classmethod
    def of(cls, model: VideoModel, fps: float, span: float | None, every: float | None, length: int | None = None) -> Pass:  # fmt: skip
        """Windows of about `span` seconds, one about every `every` seconds, rounded to frames. span=None: the model's training clip if its frames
        have a fixed distance, else four seconds. every=None: a quarter of a window. length: frames of the video, which limits a training clip that is
        given in seconds. ParameterError for windows that leave frames out."""
        used = model.usage
        dense = used.sampling_rate if used.frame_sampling == "dense" else None
        if dense and used.clip_seconds:
            dense = stride_of(length or sys.maxsize, fps, used.num_frames, used.clip_seconds)
        step = round((span or 4.0) * fps / used.num_frames) if span or not dense else dense
        step = max(1, step)
        stride = used.num_frames / 4 if every is None else every * fps / step
        if round(stride) > used.num_frames:
            raise ParameterError(f"every = {every:g} s: must be at most a window, {used.num_frames * step / fps:.3g} s, or frames are left out")  # fmt: skip
        return cls(used.num_frames, max(1, round(stride)), step, model.shared() is not None)

    @property
    def span(self) -> int:
        """The number of frames of the video that a window covers."""
        return self.num_frames * self.step

    def count(self, length: int) -> int:
        """The number of windows of a video of `length` frames."""
        return len(self._starts(-(-length // self.step)))

    def _starts(self, length: int) -> np.ndarray:
        """int64 (W,): the first frame of each window in a video of `length` frames, counted in frames `step` apart."""
        starts = np.arange(Sliding(self.num_frames, self.stride).count(length)) * self.stride
        last = length - self.num_frames
        return np.append(starts, last) if last > starts[-1] else starts

    @torch.inference_mode()
    def parts(self, path: str, model: VideoModel, function: Callable[[Tensor], Tensor], begin: int = 0, strict: bool = False) -> Iterator[Part]:  # fmt: skip
        """Yields the parts from window `begin`, which must be the first of a part (a multiple of `most`).

        function(uint8 (B, T, size, size, 3)) -> (B, D); if tokens are shared, it must be `model.features`. VideoError for an unreadable video.
        """
        size, device = model.usage.image_size, next(model.model.parameters()).device
        of_frames, of_windows = model.shared() if self.share else (None, None)
        with open_video(path, size, strict) as video:
            thin, when = Thinned(video, self.step), _Times(video)
            begins, offsets, most = self._starts(len(thin)), np.arange(self.num_frames), self.most(model)
            first = begins[begin] // BLOCK * BLOCK
            frames, tokens = [], []
            with closing(ahead(lambda left: _blocks(thin, first, size), 1)) as blocks:
                for start in range(begin, len(begins), most):
                    starts = begins[start : start + most]
                    stop = min(starts[-1] + self.num_frames, len(thin))
                    while first + BLOCK * len(frames) < stop:
                        frames.append(next(blocks))
                        tokens += [of_frames(torch.from_numpy(frames[-1]).to(device))] if self.share else []
                    gone = (starts[0] - first) // BLOCK
                    first, frames, tokens = first + gone * BLOCK, frames[gone:], tokens[gone:]
                    seen = np.concatenate(frames)
                    index = (starts[:, None] - first + offsets).clip(max=len(thin) - 1 - first)
                    if self.share:
                        values = of_windows(torch.cat(tokens)[torch.from_numpy(index).to(device)])
                    else:
                        values = function(torch.from_numpy(seen[index]).to(device))
                    yield Part([when.window(s * self.step, self.span) for s in starts], values.float().cpu().numpy(), seen, index)  # fmt: skip

    def most(self, model: VideoModel) -> int:
        """The number of windows of a part."""
        size = model.usage.image_size
        most = BYTES // (self.num_frames * size * size * 3)
        if self.share:
            of_frames, _ = model.shared()
            with torch.inference_mode():
                device = next(model.model.parameters()).device
                one = of_frames(torch.zeros(1, size, size, 3, dtype=torch.uint8, device=device))
            most = min(most, TOKEN_BYTES // (self.num_frames * one.numel() * one.element_size()))
        return max(1, min(AT_ONCE, most))


def _blocks(video: Thinned, first: int, size: int) -> Iterator[np.ndarray]:
    """Yields uint8 (BLOCK or fewer, size, size, 3): the middle square of each frame, from frame `first`."""
    for start in range(first, len(video), BLOCK):
        yield augment.centre_crop(video.read(np.arange(start, min(start + BLOCK, len(video)))), size)


class _Times:
    def __init__(self, video):
        self.video = video

    @cached_property
    def times(self) -> np.ndarray:
        times = np.asarray(self.video.times)
        return np.append(times, times[-1] + 1 / self.video.fps)

    def window(self, first: int, span: int) -> Window:
        stop = min(first + span, len(self.times) - 1)
        return Window(int(first), int(stop), float(self.times[first]), float(self.times[stop]))
