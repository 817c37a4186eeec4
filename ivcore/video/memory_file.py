"""Gives a video in memory a path that every reader can open, without touching the disk.

A memory file of the kernel has a path, so the frame table, decord and PyAV work as for videos on disk, with all their checks.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def as_file(data: bytes) -> Iterator[str]:
    """Yields the path of a file with `data`, valid inside the block; a temporary file if the system has no memory files."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name
        return
    with os.fdopen(os.memfd_create("video"), "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
