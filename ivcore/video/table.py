"""The frame table of a video: when every frame is shown, where decoding can start, and whether decord gets this file right.

Frames are numbered in display order everywhere in ivcore. The table comes from the file's own index (`mp4.py`) or from a walk over
its packets (`packets.py`); neither decodes the film.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

UPRIGHT = (1, 0, 0, 1)

# What decord 0.6 (libav 4.1) was measured to decode, seek and count exactly: container -> codecs. The rest goes to PyAV.
DECORD_EXACT = {
    "mp4": {"h264", "hevc", "mpeg4"},
    "matroska,webm": {"h264", "vp9"},
    "avi": {"mpeg4", "h264"},
}


@dataclass(frozen=True)
class FrameTable:
    pts: np.ndarray  # (n,) int64 in display order, in units of time_base
    keys: np.ndarray  # (k,) pts of the frames at which decoding can start
    time_base: Fraction
    codec: str
    width: int  # as stored, before the display matrix
    height: int
    rate: Fraction  # frames a second as the container claims
    matrix: tuple = UPRIGHT  # (a, b, c, d) of -1, 0, 1: a stored point (x, y) is shown at (ax + cy, bx + dy)
    doubt: str = ""  # why decord must not read this file
    walked: bool = False  # from the packets, in libav's own time stamps
    counted: bool = False  # time stamps are unusable: frames are found by counting from the start

    @property
    def times(self) -> np.ndarray:
        """Seconds from the first frame to each frame. -> (n,) float64"""
        return (self.pts - self.pts[0]) * float(self.time_base)

    @property
    def fps(self) -> float:
        """Average frames a second; the claimed rate where it explains the time stamps to a tick, or for a single frame."""
        ticks, gaps = int(self.pts[-1] - self.pts[0]), len(self.pts) - 1
        if gaps == 0 or abs(ticks - gaps / self.rate / self.time_base) <= 1:
            return float(self.rate)
        return float(gaps / (ticks * self.time_base))

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) as shown."""
        return (self.height, self.width) if self.matrix[0] else (self.width, self.height)


def doubt(container: str, codec: str, pts, key, matrix=UPRIGHT) -> str:
    """Why decord would not be frame-accurate on this stream, or "". pts, key: (n,) in decoding order."""
    a, b, c, d = matrix
    if codec not in DECORD_EXACT.get(container, ()):
        return f"{codec} in {container}"
    if not key[0]:
        return "does not start with a keyframe"
    if len(np.unique(pts)) != len(pts):
        return "two frames with the same time stamp"
    if a * d - b * c != 1:
        return "mirrored"
    return "open groups of pictures" if has_open_gop(pts, key) else ""


def has_open_gop(pts, key) -> bool:
    """Whether a frame is decoded after a keyframe and shown before it: after a seek, decord miscounts such frames."""
    starts = np.flatnonzero(key)
    return bool((np.minimum.reduceat(pts[starts[0] :], starts - starts[0]) < pts[starts]).any())
