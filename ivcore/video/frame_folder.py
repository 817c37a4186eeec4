"""Reads a folder of frame pictures as a video, as Something-Something and AVA are unpacked for training (img_00001.jpg, image_000001.jpg)."""

import os
import re

import numpy as np

from ivcore.errors import VideoError
from ivcore.video.images import read_image
from ivcore.video.reader import VideoReader, read_once
from ivcore.video.resize import target_size

_NAME = re.compile(r"(.*?)(\d+)\.(jpg|jpeg|png)", re.IGNORECASE)
_USUAL = ("img_", "image_")  # flow_x_00001.jpg and others may be in the same folder
_FPS = 30.0


def open_video(path, size=None, strict: bool = False):
    """A reader of a video file, or of a folder of its frames (where damage is always noticed). Arguments and errors as in the two readers."""
    return FrameFolder(path, size) if os.path.isdir(path) else VideoReader(path, size, strict=strict)


class FrameFolder:
    """The frames of a folder with the interface of `VideoReader`: len(), .times, .fps, .height, .width, read and close.

    File names number the frames, from 0 or 1, with one prefix for all; frame 0 is the first. A folder has no frame rate: .times assumes
    30 frames a second. size: as in `VideoReader`. Raises VideoError for a folder without such frames, and in `read` for a frame that is
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
        """Frames by number, in any order, with repeats; each is decoded once. -> uint8 (len(indices), height, width, 3)"""
        return read_once(self, indices, lambda numbers: np.stack([self._sized(number) for number in numbers]))

    def _sized(self, index: int) -> np.ndarray:
        picture = self._picture(index, self.size)
        if picture.shape[:2] != (self.height, self.width):
            sizes = f"{picture.shape[1]} x {picture.shape[0]}, the first one is {self.width} x {self.height}"
            raise VideoError(self.path, f"{self.files[index + self.first]}: {sizes}")
        return picture

    def _picture(self, index: int, size) -> np.ndarray:
        number = int(index) + self.first
        if number not in self.files:
            others = f"frames {self.first} to {max(self.files)} are there"
            raise VideoError(self.path, f"frame {number} is missing, {others}")
        name = self.files[number]
        try:
            return read_image(os.path.join(self.path, name), size, name)[0]
        except VideoError as error:
            raise VideoError(self.path, f"{name}: {error.cause}") from None

    def close(self) -> None:
        """Does nothing: no file is held open."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _numbered(path: str) -> dict[int, str]:
    """number -> file name of the frames in a folder. VideoError if there are none, or frames with several prefixes."""
    try:
        names = os.listdir(path)
    except OSError as error:
        raise VideoError(path, error.strerror or error) from None
    by_prefix: dict[str, dict[int, str]] = {}
    for match in filter(None, map(_NAME.fullmatch, sorted(names))):
        by_prefix.setdefault(match[1], {})[int(match[2])] = match[0]
    prefixes = [prefix for prefix in _USUAL if prefix in by_prefix] or sorted(by_prefix)
    if not prefixes:
        raise VideoError(path, "a folder without numbered frames (img_00001.jpg, image_000001.jpg)")
    if len(prefixes) > 1:
        kinds = ", ".join(f"{prefix}*" for prefix in prefixes[:3])
        raise VideoError(path, f"frames of several kinds: {kinds}")
    return by_prefix[prefixes[0]]
