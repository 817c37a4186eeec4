"""Files that appear whole: written under another name, synced and renamed, so that neither a kill nor a power cut leaves half a file."""

import json
import os
from collections.abc import Callable
from pathlib import Path


def write_atomic(path: Path, write: Callable[[Path], object], sync: bool = True) -> None:
    """Let `write` fill a temporary file, then put it in the place of `path`: readers see the old file or the whole new one.

    Without `sync` a power cut may leave a damaged file, and a kill never does: for one of many whose readers find and mend that.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        scratch.touch()
        mode = scratch.stat().st_mode  # what the user's umask allows; safetensors would leave 0600
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
    """The same for text, as UTF-8."""
    write_atomic(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))


def write_json(path: Path, value) -> None:
    """The same for JSON. ValueError for NaN and infinity, which it has not."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
