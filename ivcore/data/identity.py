"""When two paths are the same video: one YouTube id, one file, or two files of the same bytes, whatever their names."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable

_CLIP = re.compile(r"([A-Za-z0-9_-]{11})_\d+_\d+")  # as most downloaders of Kinetics name a clip
_ID = re.compile(r"(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9_-]{11}")
_EDGE = 1 << 16  # bytes that are compared at either end of a file


def video_keys(paths: Iterable[str]) -> dict[str, str]:
    """path -> key; equal for paths that are the same video. A path that is no file is its own video, unless its name has a YouTube id.

    Files are opened only where others have the same length.
    """
    paths = list(dict.fromkeys(paths))
    states = {path: _state(path) for path in paths}
    lengths = Counter(size for size, _ in {state for state in states.values() if state})
    return {path: _key(path, states[path], lengths) for path in paths}


def youtube_id(path: str) -> str | None:
    """The YouTube id that a file's name has, alone (`0347ZoDXyP0.mp4`) or before its times (`0347ZoDXyP0_000010_000020.mp4`)."""
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    match = _CLIP.fullmatch(stem)
    return match[1] if match else stem if _ID.fullmatch(stem) else None


def _state(path: str) -> tuple[int, tuple[int, int]] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size, (found.st_dev, found.st_ino)


def _key(path: str, state, lengths: Counter) -> str:
    if clip := youtube_id(path):
        return f"youtube {clip}"
    if state is None:
        return f"path {os.path.abspath(path)}"
    size, place = state
    alone = lengths[size] == 1 or not size
    return f"file {place}" if alone else f"bytes {size} {_digest(path, size) or place}"


def _digest(path: str, size: int) -> str:
    """Of both ends of a file; empty where it cannot be opened."""
    try:
        with open(path, "rb") as file:
            head = file.read(_EDGE)
            file.seek(max(size - _EDGE, 0))
            return hashlib.sha256(head + file.read(_EDGE)).hexdigest()[:16]
    except OSError:
        return ""
