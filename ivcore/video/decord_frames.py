"""Frames through decord, which conceals damaged data without a word: the errors that its libav logs are counted meanwhile."""

import ctypes
import functools
import mmap
import os
import platform

import numpy as np

# Widths of its output that decord 0.6 cannot copy out (it expects rows without padding), found by trying 2 ... 300.
BROKEN_WIDTHS = {2, 3, 4, 6, 8, 12, 16, 24, 48, 72}

# A log handler void f(void *context, int level, const char *format, va_list) that counts lines of level ERROR (16) and worse.
# Decoding threads log several lines a frame; a Python function as handler made decoding a fifth slower, for each line takes the
# interpreter's lock. The number of the register is that of the System V calling convention (Linux, macOS); %s: the counter's address.
#   endbr64; cmp esi, 16; jg end; mov rax, %s; lock inc dword [rax]; end: ret
COUNT_ERRORS = "f30f1efa 83fe10 7f0d 48b8%s f0ff00 c3"


@functools.cache
def available() -> bool:
    """Whether decord is installed (it has no wheel for Arm) and the errors it meets can be seen; PyAV does everything otherwise."""
    try:
        _errors()
    except (ImportError, OSError, AttributeError):
        return False
    return True


@functools.cache
def _errors() -> ctypes.c_int:
    """The running number of errors logged by decord's libav in this process; the first call starts the counting."""
    if platform.machine() not in ("x86_64", "AMD64") or os.name != "posix":
        raise OSError("no log handler for this processor")
    import decord
    from decord._ffi.base import _LIB

    flags, rights = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    page = mmap.mmap(-1, mmap.PAGESIZE, flags, rights)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    counter = ctypes.c_int.from_buffer(page, 64)
    page.write(bytes.fromhex(COUNT_ERRORS % (start + 64).to_bytes(8, "little").hex()))
    # never freed: decoding threads may log until the very end of the process
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(page))
    decord.logging.set_level(decord.logging.QUIET)
    _LIB.av_log_set_callback(ctypes.c_void_p(start))
    return counter


class DecordFrames:
    """(height, width) is the upright size of what `get` returns. Raises ValueError where decord or its libav is in doubt.

    There is one log for all readers, so while a damaged file is open its errors count against the others too: they only then read
    again through PyAV, which knows which file it was.
    """

    def __init__(self, path, count: int, height: int, width: int):
        self.reader, self.process = None, os.getpid()
        import decord

        self.errors_before = _errors().value
        self.reader = decord.VideoReader(str(path), decord.cpu(0), width, height, num_threads=1)
        if len(self.reader) != count:
            raise ValueError(f"decord counts {len(self.reader)} frames, not {count}")

    def get(self, indices: np.ndarray) -> np.ndarray:
        """indices: (n,) rising, no repeats. -> uint8 (n, height, width, 3)"""
        frames = self.reader.get_batch(indices).asnumpy()
        # Since opening, not since this call: decord decodes a few frames ahead after a read has returned.
        if _errors().value != self.errors_before:
            raise ValueError("decord met damaged data")
        return frames

    def close(self) -> None:
        if self.reader is not None and os.getpid() != self.process:
            self.reader._handle = None  # freeing it would wait for threads that only the parent process has
        self.reader = None

    __del__ = close
