"""Which frames, and which crop of them, a training clip of a video-language stage shows."""

import inspect
import math
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ivcore.errors import ParameterError
from ivcore.video import augment, sampling

WHOLE = (1.0,)  # value of `scales` for the middle square, nothing random
_ASPECT = (3 / 4, 4 / 3)  # of RandomResizedCrop's boxes
SAMPLERS = {"segment": sampling.segment, "segment_shared": sampling.segment_shared, "linspace": sampling.linspace,
           "mirrored": sampling.mirrored}  # fmt: skip


@dataclass(frozen=True)
class ClipSpec:
    """frame_sampling: "segment", one frame from each of `num_frames` equal parts; "segment_shared", the same position in every part; "linspace" and
    "mirrored", evenly spaced with both ends, see `video.sampling`.

    scales: of MultiScaleCrop to `size` pixels; the default takes the middle square after a short-side resize. area below 1: RandomResizedCrop
    instead, to a box of at least that share of the picture (InternVideo's video-text pretraining: 0.9). random=False: the middle frame of
    each part, and the middle square. ParameterError for values outside their range, or both area and scales.
    """

    num_frames: int
    size: int
    frame_sampling: str = "segment"
    scales: tuple[float, ...] = WHOLE
    area: float = 1.0
    random: bool = True

    def __post_init__(self):
        if self.frame_sampling not in SAMPLERS:
            raise ParameterError(f"frame_sampling={self.frame_sampling!r}: must be one of {', '.join(SAMPLERS)}")
        object.__setattr__(self, "scales", tuple(self.scales) if self.random else WHOLE)
        object.__setattr__(self, "area", self.area if self.random else 1.0)
        for name in ("num_frames", "size"):
            if (value := getattr(self, name)) < 1 or int(value) != value:
                raise ParameterError(f"{name}={value!r}: must be a whole number, at least 1")
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ParameterError(f"scales={self.scales!r}: must be one or more numbers in (0, 1]")
        if not 0 < self.area <= 1:
            raise ParameterError(f"area={self.area!r}: must be in (0, 1]")
        if self.area < 1 and self.scales != WHOLE:
            raise ParameterError(f"area={self.area} and scales={self.scales}: give one of them")

    @cached_property
    def sampler(self):
        """A function from a frame count, and a generator `rng` if it is random, to frame indices."""
        return partial(SAMPLERS[self.frame_sampling], num_frames=self.num_frames)

    @property
    def drawn(self) -> bool:
        """Whether the frames are drawn at random."""
        return self.random and "rng" in inspect.signature(self.sampler).parameters

    @property
    def short_side(self) -> int:
        """The short side in pixels to decode videos at, so that no crop is enlarged."""
        least = min(self.scales) if self.area == 1 else math.sqrt(self.area * _ASPECT[0])
        return math.ceil(self.size / least)

    def indices(self, length: int, rng: np.random.Generator) -> np.ndarray:
        """Frame indices (num_frames,) of a video of `length` frames; uses `rng` only if `drawn`."""
        return self.sampler(length, rng=rng) if self.drawn else self.sampler(length)

    def crop(self, video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8 (T, H, W, 3) -> (T, size, size, 3)"""
        if self.area < 1:
            return augment.random_resized_crop(video, self.size, rng, (self.area, 1.0), _ASPECT)
        if self.scales == WHOLE:
            return augment.centre_crop(video, self.size)
        return augment.multi_scale_crop(video, self.size, rng, self.scales)

    def still(self, image: np.ndarray) -> np.ndarray:
        """A picture (1, H, W, 3) as a clip (num_frames, H, W, 3) of equal frames."""
        return np.repeat(image, self.num_frames, axis=0)
