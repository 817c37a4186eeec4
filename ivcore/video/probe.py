"""Probes a file: its size and codec, and whether training can read it."""

import os
from dataclasses import dataclass

import numpy as np

from ivcore.errors import VideoError
from ivcore.video.frame_folder import FrameFolder
from ivcore.video.images import is_image, read_image
from ivcore.video.reader import VideoReader

_HELD = 1 << 27  # bytes of frames kept at a time


@dataclass(frozen=True)
class Probe:
    """kind: "" for a good file, else "missing", "unreadable" or "damaged", with the `cause`. A picture has frames 1, seconds 0."""

    kind: str = ""
    cause: str = ""
    frames: int = 0
    seconds: float = 0.0
    height: int = 0
    width: int = 0
    codec: str = ""
    reader: str = ""  # the library that decodes it


def probe(path: str, strict: bool = False) -> Probe:
    """Reads every frame; with `strict`, reads them a second time to find damage that decord hides. Raises nothing."""
    try:
        if os.path.isdir(path):
            return _folder(path)
        return _picture(path) if is_image(path) else _video(path, strict)
    except VideoError as error:
        return Probe("unreadable" if os.path.exists(path) else "missing", error.cause)
    except Exception as error:  # a bug of a decoder: reported, too, so that one file does not end a check
        return Probe("unreadable", f"{type(error).__name__}: {error}")


def _picture(path) -> Probe:
    _, height, width, _ = read_image(path).shape
    return Probe(frames=1, height=height, width=width, codec=path.rpartition(".")[2].lower(), reader="Pillow")


def _folder(path) -> Probe:
    folder = FrameFolder(path)
    _read_all(folder)
    seconds = len(folder) / folder.fps
    return Probe("", "", len(folder), seconds, folder.height, folder.width, "pictures in folders", "Pillow")


def _video(path, strict: bool) -> Probe:
    video = VideoReader(path)
    _read_all(video)
    by = "decord" if video.backend == "decord" else "PyAV"
    by += ", counting frames" if video.table.counted else ""
    about = (len(video), len(video) / video.fps, *video.table.upright, video.table.codec, by)
    try:
        if strict:
            _read_all(VideoReader(path, strict=True))
    except VideoError as error:
        return Probe("damaged", error.cause, *about)
    return Probe("", "", *about)


def _read_all(video: VideoReader | FrameFolder) -> None:
    # At the stored size: resizing would import torch in every process.
    step = max(1, _HELD // (3 * video.height * video.width))
    with video:
        for first in range(0, len(video), step):
            video.read(np.arange(first, min(first + step, len(video))))
