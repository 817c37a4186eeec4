"""Decodes frames with decord, fast and exact for the files that `mp4._doubt` accepts."""

import functools
import os

import numpy as np

# Output widths that decord 0.6 cannot copy (it expects rows without padding), found by testing 2 ... 300.
BROKEN_WIDTHS = {2, 3, 4, 6, 8, 12, 16, 24, 48, 72}


@functools.cache
def available() -> bool:
    """Whether decord is installed; it has no wheel for Arm, where PyAV decodes everything."""
    try:
        import decord
    except (ImportError, OSError):
        return False
    decord.logging.set_level(decord.logging.QUIET)
    return True


class DecordFrames:
    """(height, width) is the upright size of what `get` returns. Raises ValueError if decord counts a different number of frames.

    decord hides damaged pictures without an error; containers that are cut off or inconsistent are refused earlier.
    """

    def __init__(self, path, count: int, height: int, width: int):
        self.reader, self.process = None, os.getpid()
        import decord

        self.reader = decord.VideoReader(str(path), decord.cpu(0), width, height, num_threads=1)
        if len(self.reader) != count:
            raise ValueError(f"decord counts {len(self.reader)} frames, not {count}")

    def get(self, indices: np.ndarray) -> np.ndarray:
        """indices: (n,) ascending, no repeats. -> uint8 (n, height, width, 3)"""
        return self.reader.get_batch(indices).asnumpy()

    def close(self) -> None:
        if self.reader is not None and os.getpid() != self.process:
            self.reader._handle = None  # freeing it would wait for the parent's threads
        self.reader = None

    __del__ = close
