"""The frame table of a video: the time and the packet of each frame.

Frames are numbered in display order everywhere in ivcore. The table comes from the file's own index (`mp4.py`) or from a walk over
its packets (`packets.py`). Neither decodes the video, unless its time stamps do not give the display order.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ivcore.errors import VideoError

UPRIGHT = (1, 0, 0, 1)
LARGEST_SIDE, LARGEST_AREA, LONGEST_RATIO = 16384, 1 << 26, 64  # 8K is 7680 x 4320 = 2 ** 25 pixels


@dataclass(frozen=True)
class PacketTable:
    """The packets of a stream in decoding order, as a demuxer gives them from the start. All (p,)."""

    frame: np.ndarray  # int64: the number of the packet's frame, -1 if it has no frame that is shown
    place: np.ndarray  # int64: its byte in the file, -1 if the demuxer does not say
    size: np.ndarray  # int64: bytes
    stamp: np.ndarray  # int64: its time stamp, for seeking
    key: np.ndarray  # bool


@dataclass(frozen=True)
class FrameTable:
    pts: np.ndarray  # (n,) int64 in display order, in units of time_base
    time_base: Fraction
    codec: str
    width: int  # as stored, before the display matrix
    height: int
    rate: Fraction  # frames a second according to the container
    matrix: tuple = UPRIGHT  # (a, b, c, d) of -1, 0, 1: a stored point (x, y) is shown at (ax + cy, bx + dy)
    doubt: str = ""  # why decord must not read this file
    packets: PacketTable | None = None  # None: not read, or frames are counted from the start
    counted: str = ""  # why frames are counted

    @property
    def walked(self) -> bool:
        """Whether the table comes from the packets that libav gives."""
        return bool(self.packets is not None or self.counted)

    @property
    def times(self) -> np.ndarray:
        """Seconds from the first frame to each frame. -> (n,) float64"""
        return (self.pts - self.pts[0]) * float(self.time_base)

    @property
    def fps(self) -> float:
        """Average frames a second; the container's rate if it fits the time stamps to a tick, or for a single frame."""
        ticks, gaps = int(self.pts[-1] - self.pts[0]), len(self.pts) - 1
        if gaps == 0 or abs(ticks - gaps / self.rate / self.time_base) <= 1:
            return float(self.rate)
        return float(gaps / (ticks * self.time_base))

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) as shown."""
        return (self.height, self.width) if self.matrix[0] else (self.width, self.height)


def refuse_size(path, height: int, width: int) -> None:
    """Raises VideoError for an impossible size in pixels, because resizing it would take all memory."""
    short, long = sorted((height, width))
    if short < 1 or long > LARGEST_SIDE or short * long > LARGEST_AREA or long > LONGEST_RATIO * short:
        allowed = (
            f"sides up to {LARGEST_SIDE}, {LARGEST_AREA} in all, and one side up to {LONGEST_RATIO} times the other"
        )
        raise VideoError(path, f"claims {width} x {height} pixels; read are {allowed}")


def has_open_gop(pts, key) -> bool:
    """Whether a frame is decoded after a keyframe but shown before it; after a seek, decord miscounts such frames."""
    starts = np.flatnonzero(key)
    return bool((np.minimum.reduceat(pts[starts[0] :], starts - starts[0]) < pts[starts]).any())
