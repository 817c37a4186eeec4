"""Tells whether two paths are the same video: one file, two files with the same bytes, or names with the same YouTube id.

Cuts of one YouTube video are the same video but different clips. They belong in one part, and each may have its own label.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping

_CLIP = re.compile(r"([A-Za-z0-9_-]{11})_[0-9]{6}_[0-9]{6}")  # as most downloaders of Kinetics name a clip
_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_KINDS = re.compile(r"[a-z]+|[A-Z]+|[0-9]+|[_-]+")
FEW = 5
_MIXED = 4.0  # pieces of one kind of letters that an id has on average; random ones have 7, names and numbers 2 or 3
_ALIKE = 0.2  # share of places at which two names have the same letter, at most; random ids have 0.016
_YOUTUBE = "youtube "  # how keys of YouTube videos begin
_EDGE = 1 << 16  # bytes that are compared at either end of a file


def video_keys(paths: Iterable[str]) -> dict[str, str]:
    """path -> key; equal for paths that are the same video. A path that is no file is its own video, unless its name has a YouTube id.

    Names count as YouTube ids only if those of all paths together look drawn at random: `film1_cut10.mp4` in two folders is two videos.
    A file is opened only if another has the same length.
    """
    paths = list(dict.fromkeys(paths))
    ids = _plausible({path: youtube_id(path) for path in paths})
    of_files = file_keys(path for path in paths if path not in ids)
    return {path: f"{_YOUTUBE}{ids[path]}" if path in ids else of_files[path] for path in paths}


def clip_keys(videos: Mapping[str, str]) -> dict[str, str]:
    """path -> key; equal for paths that are the same clip: the same YouTube id and times. videos: see `video_keys`.

    With fewer than FEW ids a name alone does not make files copies: files that exist then are the same clip only with the same bytes.
    """
    ids = {path: key for path, key in videos.items() if key.startswith(_YOUTUBE)}
    few = file_keys(path for path in ids if os.path.exists(path)) if len(set(ids.values())) < FEW else {}
    return {path: few.get(path) or (f"{_YOUTUBE}{clip_name(path)}" if path in ids else key) for path, key in videos.items()}  # fmt: skip


def file_keys(paths: Iterable[str]) -> dict[str, str]:
    """path -> key; equal for paths that lead to one file or to the same bytes, whatever their names are."""
    states = {path: _state(path) for path in paths}
    lengths = Counter(size for size, _ in {state for state in states.values() if state})
    return {path: _key(path, state, lengths) for path, state in states.items()}


def of_one_id(videos: Mapping[str, str]) -> dict[str, str]:
    """normal path -> key, of the paths that share a YouTube id with others. videos: see `video_keys`."""
    counts = Counter(videos.values())
    return {os.path.normpath(path): key for path, key in videos.items() if key.startswith(_YOUTUBE) and counts[key] > 1}


def clip_name(path: str) -> str:
    """The file's name without its folder and its ending: `0347ZoDXyP0_000010_000020`."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def youtube_id(path: str) -> str | None:
    """The possible YouTube id in a file's name, alone (`0347ZoDXyP0.mp4`) or before its times (`0347ZoDXyP0_000010_000020.mp4`)."""
    stem = clip_name(path)
    match = _CLIP.fullmatch(stem)
    return match[1] if match else stem if _ID.fullmatch(stem) else None


def _plausible(ids: dict[str, str | None]) -> dict[str, str]:
    """The ids that look drawn at random. Those with both cases are judged together, and then the others, of which there are few.

    No two ids differ in their digits alone.
    """
    patterns = Counter(re.sub(r"\d", "0", name) for name in {*ids.values()} - {None})
    ids = {path: name for path, name in ids.items() if name and patterns[re.sub(r"\d", "0", name)] == 1}  # fmt: skip
    cased = {name for name in ids.values() if name != name.lower() and name != name.upper()}
    if not _random(cased):
        return {}
    others = {name for name in ids.values() if name not in cased}
    random = cased | others if _random(others) else cased
    return {path: name for path, name in ids.items() if name in random}


def _random(names: set[str]) -> bool:
    """Whether letters of these names change their kind often, and no two names are alike."""
    kinds = sum(len(_KINDS.findall(name)) for name in names)
    return len(names) > 0 and kinds >= _MIXED * len(names) and _alike(names) <= _ALIKE


def _alike(names: Iterable[str]) -> float:
    """Share of places at which two names have the same letter, averaged over all pairs; 0 for one name."""
    places = [Counter(letters) for letters in zip(*names)]
    pairs = sum(sum(place.values()) * (sum(place.values()) - 1) for place in places)
    return sum(n * (n - 1) for place in places for n in place.values()) / pairs if pairs else 0.0


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
    """Digest of both ends of a file; "" if it cannot be opened."""
    try:
        with open(path, "rb") as file:
            head = file.read(_EDGE)
            file.seek(max(size - _EDGE, 0))
            return hashlib.sha256(head + file.read(_EDGE)).hexdigest()[:16]
    except OSError:
        return ""
