"""Finds a user's videos: a file, a folder of videos at any depth, a folder of frames, or a list. It opens no videos."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ivcore.data import formats
from ivcore.errors import FormatError, UserError, shown
from ivcore.video.endings import ENDINGS

LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
_FRAME = re.compile(r"(?:.*\D)?0*[01]\.(?:jpg|jpeg|png)", re.IGNORECASE)  # the first of numbered frames


def find(place: str | os.PathLike, besides: Path | None = None) -> list[str]:
    """The videos of a path, each once, in the order of their names or of the list.

    A file with any name is a video, unless it is a list. In a folder, all files with one of ENDINGS and folders of numbered frames are
    videos, except hidden ones and those in `besides`. Links are followed; each folder is visited once. UserError if there is no video.
    """
    place = os.path.abspath(place)
    if os.path.isdir(place):
        found = [place] if _has_frames(place) else list(_below(place, besides))
        if not found:
            raise UserError(f"{shown(place)}: no video in it, by their endings ({', '.join(ENDINGS)})")
        return found
    if not os.path.exists(place):
        raise UserError(f"{shown(place)}: there is no such file or folder")
    if not place.lower().endswith(LISTS):
        return [place]
    if not (listed := _listed(place)):
        raise UserError(f"{shown(place)}: lists no video")
    return listed


def _below(place: str, besides: Path | None) -> Iterator[str]:
    seen = {os.path.realpath(besides)} if besides else set()
    for parent, folders, names in os.walk(place, followlinks=True, onerror=_refuse):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if parent != place and _has_frames(parent):
            folders.clear()
            yield parent
            continue
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1][1:].lower() in ENDINGS:
                yield os.path.join(parent, name)


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _has_frames(folder: str) -> bool:
    """Whether the folder has numbered frames, including the first, and no video."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError as error:
        _refuse(error)
    videos = any(os.path.splitext(name)[1][1:].lower() in ENDINGS for name in names)
    return not videos and any(map(_FRAME.fullmatch, names))


def _listed(place: str) -> list[str]:
    """The paths in a list of any known format, or in a file with one path a line."""
    try:
        return _once(video.path for video in formats.read_captions(place))
    except FormatError:
        if place.lower().endswith((".json", ".jsonl")):  # no other list has these endings
            raise
    try:
        return _once(video.path for video in formats.read_video_list(place))
    except FormatError as error:
        base = os.path.dirname(place)
        with open(place, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = [line.strip().strip('"') for line in file if line.strip()]
        paths = [os.path.join(base, line) for line in lines]
        there = [path for path in paths if os.path.exists(path)]
        if len(there) < len(paths) - 1 or not there:  # the first may be a header
            raise error from None
        return _once(there)


def _once(paths) -> list[str]:
    return list(dict.fromkeys(map(os.path.abspath, paths)))
