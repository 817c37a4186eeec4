"""Frames through decord, which conceals damaged data without a word: its libav log is watched while it decodes."""

import atexit
import contextlib
import ctypes
import functools
import os
import sys
import threading

import numpy as np

# Widths of its output that decord 0.6 cannot copy out (it expects rows without padding), found by trying 2 ... 300.
BROKEN_WIDTHS = {2, 3, 4, 6, 8, 12, 16, 24, 48, 72}
AV_LOG_ERROR = 16


@functools.cache
def available() -> bool:
    """Whether decord is installed here (it has no wheel for Arm)."""
    try:
        _decord()
    except (ImportError, OSError):
        return False
    return True


def _decord():
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    return decord


class DecordFrames:
    """(height, width) is the upright size of what `get` returns. Raises ValueError where decord or its libav is in doubt."""

    def __init__(self, path, count: int, height: int, width: int):
        self.reader, self.process = None, os.getpid()
        decord = _decord()
        self.reader = decord.VideoReader(str(path), decord.cpu(0), width, height, num_threads=1)
        watch.begin()
        self.errors_before = watch.errors
        if len(self.reader) != count:
            raise ValueError(f"decord counts {len(self.reader)} frames, not {count}")

    def get(self, indices: np.ndarray) -> np.ndarray:
        """indices: (n,) rising, no repeats. -> uint8 (n, height, width, 3)"""
        frames = self.reader.get_batch(indices).asnumpy()
        # Since opening, not since this call: decord decodes a few frames ahead after a read has returned.
        if watch.errors != self.errors_before:
            raise ValueError("decord met damaged data")
        return frames

    def close(self) -> None:
        if self.reader is None:
            return
        if os.getpid() == self.process:
            watch.end()
        else:
            self.reader._handle = None  # freeing it would wait for threads that only the parent process has
        self.reader = None

    __del__ = close


class _Watch:
    """Counts the errors that decord's libav logs in this process while readers are open.

    There is one log for all readers, so while a damaged file is open its errors count against the others too: they only then read
    again through PyAV, which knows which file it was. libav gets its own handler back after the last reader, for a log
    line costs microseconds here, and before the interpreter goes, for no decoding thread may call into one that is shutting down.
    """

    def __init__(self):
        self.errors = 0
        self.readers = 0
        self.lock = threading.RLock()  # a reader may be collected, and so closed, while another one begins
        self.callback = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
        )(self._log)

    def _log(self, _context, level, _format, _arguments):
        if 0 <= level <= AV_LOG_ERROR:
            self.errors += 1

    def begin(self) -> None:
        with self.lock:
            self.readers += 1
            if self.readers == 1:
                self._set(self.callback)

    def end(self) -> None:
        with self.lock:
            self.readers = max(self.readers - 1, 0)
            if self.readers == 0:
                self._set(None)

    def _set(self, callback) -> None:
        from decord._ffi.base import _LIB

        with contextlib.suppress(AttributeError):  # a build that hides libav's names: no watching
            _LIB.av_log_set_callback(callback or _LIB.av_log_default_callback)


watch = _Watch()


def _stop_watching() -> None:
    """At the end of the process, and in a fork, which has none of its parent's readers and maybe a lock that nobody will open."""
    watch.readers, watch.lock = 0, threading.RLock()
    if "decord" in sys.modules:
        watch._set(None)


atexit.register(_stop_watching)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stop_watching)
