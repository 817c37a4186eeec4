"""A folder of frame pictures read as a video, as Something-Something and AVA are unpacked for training (img_00001.jpg, image_000001.jpg)."""

import os
import re

import numpy as np

from ivcore.errors import VideoError
from ivcore.video.images import read_image
from ivcore.video.reader import VideoReader
from ivcore.video.resize import target_size

_NAME = re.compile(r"(.*?)(\d+)\.(jpg|jpeg|png)", re.IGNORECASE)
_USUAL = ("img_", "image_")  # beside them may lie flow_x_00001.jpg and others
_FPS = 30.0


def open_video(path, size=None, strict: bool = False):
    """A reader of a video file, or of the folder of its frames, whose damage is always noticed."""
    return FrameFolder(path, size) if os.path.isdir(path) else VideoReader(path, size, strict=strict)


class FrameFolder:
    """The frames of a folder with the interface of `VideoReader`: len(), .times, .fps, .height, .width, read and close.

    Frames are numbered in the names of their files, from 0 or from 1, one prefix for all; frame 0 is the first. A folder says nothing of time:
    .times has 30 frames a second. size: as in `VideoReader`. Raises VideoError for a folder without such frames, and on `read` for one that is
    missing, damaged, or of another shape than the first.
    """

    def __init__(self, path, size=None):
        self.path, self.size = os.fspath(path), size
        self.files = _numbered(self.path)
        self.first = min(self.files)
        height, width = self._picture(0, None).shape[:2]
        self.height, self.width = target_size(height, width, size)
        self.fps = _FPS

    def __len__(self) -> int:
        return max(self.files) - self.first + 1

    @property
    def times(self) -> np.ndarray:
        return np.arange(len(self)) / self.fps

    def read(self, indices) -> np.ndarray:
        """Frames by number, in any order, repeats allowed; each is decoded once. -> uint8 (len(indices), height, width, 3)"""
        indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        if indices.size == 0:
            return np.empty((0, self.height, self.width, 3), np.uint8)
        if indices.min() < 0 or indices.max() >= len(self):
            raise IndexError(f"{self.path}: frames {indices.min()} to {indices.max()} asked of {len(self)}")
        wanted, places = np.unique(indices, return_inverse=True)
        return np.stack([self._sized(index) for index in wanted])[places]

    def _sized(self, index: int) -> np.ndarray:
        picture = self._picture(index, self.size)
        if picture.shape[:2] != (self.height, self.width):
            found = f"{picture.shape[1]} x {picture.shape[0]}, the first one is {self.width} x {self.height}"
            raise VideoError(self.path, f"{self.files[index + self.first]}: {found}")
        return picture

    def _picture(self, index: int, size) -> np.ndarray:
        number = int(index) + self.first
        if number not in self.files:
            raise VideoError(
                self.path, f"frame {number} is missing, frames {self.first} to {max(self.files)} are there"
            )
        name = self.files[number]
        try:
            return read_image(os.path.join(self.path, name), size, name)[0]
        except VideoError as error:
            raise VideoError(self.path, f"{name}: {error.cause}") from None

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _numbered(path: str) -> dict[int, str]:
    """number -> file name of the frames in a folder."""
    try:
        names = os.listdir(path)
    except OSError as error:
        raise VideoError(path, error.strerror or error) from None
    found: dict[str, dict[int, str]] = {}
    for match in filter(None, map(_NAME.fullmatch, sorted(names))):
        found.setdefault(match[1], {})[int(match[2])] = match[0]
    chosen = [prefix for prefix in _USUAL if prefix in found] or sorted(found)
    if len(chosen) != 1:
        several = f"frames of several kinds: {', '.join(f'{prefix}*' for prefix in chosen[:3])}"
        raise VideoError(
            path, several if chosen else "a folder without numbered frames (img_00001.jpg, image_000001.jpg)"
        )
    return found[chosen[0]]
