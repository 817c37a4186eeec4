"""Reads exactly the requested frames of a video file, whichever library decodes it.

decord decodes the files that it decodes exactly: H.264 and HEVC with 8 bits a colour in .mp4 and .mov with a sound index (see `mp4._doubt`).
PyAV reads the rest, and all files if decord is not installed. Both number frames in display order and give upright frames, and pixel
values agree up to the resizing. The frames are those of the ffmpeg program. If time stamps do not give their order (B pictures in
.avi, or copied from there), the file is decoded once to count them, and read from its start: two to four times slower, but exact.

    with VideoReader("clip.mp4", size=224) as video:
        frames = video.read(sampling.dense(len(video), 16, 4))      # uint8 (16, 224, 398, 3)

Open one reader for each item, in the worker that reads it. After a fork a reader opens its file again in the child, and threads take
turns, so sharing a reader is slow but safe.
"""

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from ivcore import git_lfs
from ivcore.errors import ParameterError, VideoError
from ivcore.video import decord_frames, mp4, packets
from ivcore.video.pyav_frames import PyAVFrames, WrongOrder
from ivcore.video.resize import resize, target_size
from ivcore.video.table import FrameTable

BACKENDS = ("decord", "pyav")


class VideoReader:
    """A video file as a sequence of frames in display order.

    size: None for the stored size, an int for the short side (the long side keeps the aspect ratio, rounded to the nearest pixel), or
    (height, width). backend: None chooses; "decord" or "pyav" forces one. PyAV refuses damaged pictures that decord hides.
    strict: uses PyAV and raises every error that its decoders find in a picture. Of 80 H.264 files with flipped bits, 69 gave wrong
    pictures without an error, but only one with strict; VP8, VP9 and HEVC contain too little to tell (29 of 30, 29 of 30 and 15 of 30 were
    still read). It is as fast as decord at 240 lines, and takes 1.6 times as long for videos of 32 pixels, mostly for opening.
    len(), .fps (average), .times ((n,) seconds from the first frame, also for variable frame rates), .height and .width (upright, after
    resizing), .backend. Opening reads the file's index, or counts the frames if that gives no order; the first `read` opens the decoder.
    Raises VideoError(path, cause) for a file that is not a readable video, ParameterError for a bad size or backend.
    """

    def __init__(self, path, size=None, backend: str | None = None, strict: bool = False):
        if backend not in (None, *BACKENDS) or (strict and backend == "decord"):
            allowed = "pyav where strict" if strict else "one of " + ", ".join(BACKENDS)
            raise ParameterError(f"backend={backend!r}: must be {allowed}")
        self.path, self.strict = Path(path), strict
        backend = "pyav" if strict else backend
        self.table = _read_table(self.path)
        self.height, self.width = target_size(*self.table.upright, size)
        self.backend = backend or ("pyav" if self._decord_cannot() else "decord")
        if self.backend == "pyav" and not self.table.walked:  # PyAV needs libav's own time stamps
            self.table = replace(packets.read_table(self.path), doubt=self.table.doubt)
            self.height, self.width = target_size(*self.table.upright, size)
        self._forced = backend is not None
        self._frames, self._process, self._lock = None, os.getpid(), threading.Lock()

    def _decord_cannot(self) -> bool:
        _, width = self._decoded_size()
        return bool(self.table.doubt) or width in decord_frames.BROKEN_WIDTHS or not decord_frames.available()

    def _decoded_size(self) -> tuple[int, int]:
        """The size that the decoder gives: the final size if that saves work (half the pixels or fewer), else the stored one."""
        height, width = self.table.upright
        small = 2 * self.height * self.width <= height * width
        return (self.height, self.width) if small else (height, width)

    def __len__(self) -> int:
        return len(self.table.pts)

    @property
    def times(self) -> np.ndarray:
        return self.table.times

    @property
    def fps(self) -> float:
        """Average frames a second; for a single frame, the container's frame rate."""
        return self.table.fps

    def read(self, indices) -> np.ndarray:
        """Frames by number, in any order, with repeats; each is decoded once. -> uint8 (len(indices), height, width, 3)

        Raises VideoError for a frame that is damaged or cannot be decoded, IndexError for one outside 0 ... len - 1.
        """
        return read_once(self, indices, self._read)

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        with self._own_lock(), packets.errors_with_path(self.path):
            return resize(self._decode(numbers), self.height, self.width)

    def _own_lock(self):
        """The lock of this process. After a fork it drops the parent's decoder and lock, which are useless here."""
        if self._process != os.getpid():
            self._frames, self._process, self._lock = None, os.getpid(), threading.Lock()
        return self._lock

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        if self.backend == "decord":
            try:
                return self._open_decord().get(numbers)
            except (RuntimeError, ValueError, OSError, IndexError, AssertionError, _decord_error()) as error:
                if self._forced:
                    raise VideoError(self.path, error) from None
                self._use_pyav(packets.read_table(self.path))
        try:
            return self._open_pyav().get(numbers)
        except WrongOrder:
            self._use_pyav(packets.count_frames(self.path, self.table, "frames out of order"))
            return self._open_pyav().get(numbers)

    def _open_pyav(self) -> PyAVFrames:
        if self._frames is None:
            self._frames = PyAVFrames(self.path, self.table, *self._decoded_size(), self.strict)
        return self._frames

    def _open_decord(self) -> decord_frames.DecordFrames:
        if self._frames is None:
            self._frames = decord_frames.DecordFrames(self.path, len(self), *self._decoded_size())
        return self._frames

    def _use_pyav(self, table: FrameTable) -> None:
        """Switches to PyAV with this table. VideoError if it has another number of frames."""
        if len(table.pts) != len(self):
            raise VideoError(self.path, f"its index lists {len(self)} frames, {len(table.pts)} can be read")
        self._close()
        self.backend = "pyav"
        self.table = replace(table, doubt=self.table.doubt or table.doubt)

    def _close(self) -> None:
        if self._frames is not None:
            self._frames.close()
        self._frames = None

    def close(self) -> None:
        with self._own_lock():
            self._close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_once(video, indices, read) -> np.ndarray:
    """The frames `indices` of a reader with .path, .height, .width and len(). read(ascending numbers, no repeats) -> (n, H, W, 3).

    IndexError for a number outside 0 ... len - 1.
    """
    indices = np.asarray(indices, dtype=np.int64).reshape(-1)
    if indices.size == 0:
        return np.empty((0, video.height, video.width, 3), np.uint8)
    if indices.min() < 0 or indices.max() >= len(video):
        raise IndexError(f"{video.path}: frames {indices.min()} to {indices.max()} asked of {len(video)}")
    numbers, rows = np.unique(indices, return_inverse=True)
    frames = read(numbers)
    return frames if np.array_equal(numbers, indices) else frames[rows]


def _decord_error():
    from decord import DECORDError

    return DECORDError


def _read_table(path: Path) -> FrameTable:
    with packets.errors_with_path(path):
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "no such file"
            raise VideoError(path, what)
        if path.stat().st_size == 0:
            raise VideoError(path, "empty file")
        with open(path, "rb") as file:
            if git_lfs.is_pointer(file.read(128)):
                raise VideoError(path, "a Git LFS pointer, not the video: git lfs pull")
        table = mp4.read_table(path) if mp4.is_mp4(path) else None
        return table or packets.read_table(path)
