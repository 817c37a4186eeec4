"""Atomic file writes: write under another name, sync, rename. Neither a kill nor a power cut leaves half a file."""

import json
import os
from collections.abc import Callable
from pathlib import Path


def write_atomic(path: Path, write: Callable[[Path], object], sync: bool = True) -> None:
    """Calls `write` with a temporary file, then renames it to `path`. Readers see the old file or the complete new one.

    Without `sync` a power cut may leave a damaged file (a kill does not). Use it for files whose readers detect and
    repair damage.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        scratch.touch()
        mode = scratch.stat().st_mode  # from the user's umask; safetensors would set 0600
        write(scratch)
        scratch.chmod(mode)
        if sync:
            _sync(scratch)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    if sync:
        _sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """`write_atomic` for text, as UTF-8."""
    write_atomic(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))


def write_json(path: Path, value) -> None:
    """`write_atomic` for JSON. ValueError for NaN and infinity, which JSON lacks."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def fingerprint(path) -> tuple[int, int]:
    """Detects a changed file: (size in bytes, time of the last change in ns); (0, 0) if it is missing."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: not a possible file name
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
