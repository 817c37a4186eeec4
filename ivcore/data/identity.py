"""When two paths are the same video: one file, two files of the same bytes, or one YouTube id, where names are such ids."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable

_CLIP = re.compile(r"([A-Za-z0-9_-]{11})_[0-9]{6}_[0-9]{6}")  # as most downloaders of Kinetics name a clip
_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_KINDS = re.compile(r"[a-z]+|[A-Z]+|[0-9]+|[_-]+")
_MIXED = 4.0  # pieces of one kind of letters that an id has on average; random ones have 7, names and numbers 2 or 3
_EDGE = 1 << 16  # bytes that are compared at either end of a file


def video_keys(paths: Iterable[str]) -> dict[str, str]:
    """path -> key; equal for paths that are the same video. A path that is no file is its own video, unless its name has a YouTube id.

    Names count as YouTube ids only where those of all paths together look drawn at random: `Video000001.mp4` in two folders is two videos.
    Files are opened only where others have the same length.
    """
    paths = list(dict.fromkeys(paths))
    ids = _plausible({path: youtube_id(path) for path in paths})
    states = {path: _state(path) for path in paths}
    lengths = Counter(size for size, _ in {state for state in states.values() if state})
    return {path: f"youtube {ids[path]}" if path in ids else _key(path, states[path], lengths) for path in paths}


def youtube_id(path: str) -> str | None:
    """The YouTube id that a file's name may have, alone (`0347ZoDXyP0.mp4`) or before its times (`0347ZoDXyP0_000010_000020.mp4`)."""
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    match = _CLIP.fullmatch(stem)
    return match[1] if match else stem if _ID.fullmatch(stem) else None


def _plausible(ids: dict[str, str | None]) -> dict[str, str]:
    """The ids, if they look drawn at random all together."""
    ids = {path: name for path, name in ids.items() if name}
    distinct = set(ids.values())
    mixed = sum(len(_KINDS.findall(name)) for name in distinct) / max(len(distinct), 1)
    return ids if mixed >= _MIXED else {}


def _state(path: str) -> tuple[int, tuple[int, int]] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, (status.st_dev, status.st_ino)


def _key(path: str, state, lengths: Counter) -> str:
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
