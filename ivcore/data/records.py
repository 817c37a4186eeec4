"""Records of videos: objects with a `.path`, and perhaps a label, a part of the video and a stride. Reads lists of
them, and their frames.

path               a video file, a folder of frames, or a picture, which is a video of one frame
start, end         the record covers `start` to `end` seconds; or
span(length)       it covers frames [first, stop) of a video with `length` frames
stride             sampling stride that replaces the sampler's
video, fps         decoded frames, if they are kept in memory (`ivcore.data.memory`), and frames per second, None if unknown
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ivcore.data import formats
from ivcore.errors import UserError, VideoError
from ivcore.video.frame_folder import open_video
from ivcore.video.images import is_image, read_image


def read_records(path, root=None, judge=None) -> list:
    """The records of a Kinetics CSV (`path label`) or a pretraining list. root: where relative paths start, by
    default the list's folder. judge: as in `formats.lines.LineFormat.read`.

    FormatError for a malformed list. UserError for an empty one, and if none of its files exists.
    """
    records = formats.read_video_list(path, root, judge)
    require_some([record.path for record in records], path)
    return records


def require_some(paths: Sequence[str], listed_in) -> None:
    """UserError if none of these files exists: then the folder is wrong, not a single video."""
    if not paths:
        raise UserError(f"{listed_in}: there is no video in it")
    if not any(os.path.exists(path) for path in paths):
        raise UserError(
            f"{listed_in}: none of the {len(paths)} videos exists, e.g. {paths[0]} (relative paths start from "
            f"the list's own folder, or from the folder given as root)"
        )


@contextmanager
def frames_of(record, size=None, strict: bool = False) -> Iterator[tuple[int, Callable, float | None]]:
    """Returns (frame count, read, frames per second) of a record; read(indices) -> uint8 (T, H, W, 3), a copy.
    Frames per second are None if unknown, and for a picture.

    size and strict: as in VideoReader; decoded frames keep their size. VideoError, also within `read`, for an
    unreadable video.
    """
    if hasattr(record, "video"):
        if record.video is None:
            raise VideoError(record.path, record.cause)
        yield len(record.video), record.video.__getitem__, getattr(record, "fps", None)
    elif is_image(record.path) and not os.path.isdir(record.path):
        yield 1, read_image(record.path, size).__getitem__, None
    else:
        with open_video(record.path, size, strict) as reader:
            first, stop = _span(record, reader)
            yield stop - first, lambda indices: reader.read(first + indices), reader.fps


def _span(record, reader) -> tuple[int, int]:
    if hasattr(record, "span"):
        return record.span(len(reader))
    if not hasattr(record, "end"):
        return 0, len(reader)
    first, stop = np.searchsorted(reader.times, [record.start, record.end])
    if record.start > (last := reader.times[-1] + 1 / reader.fps):
        raise VideoError(record.path, f"the list names seconds {record.start:g} to {record.end:g}, of {last:.2f}")
    first = min(first, len(reader) - 1)
    return int(first), int(max(stop, first + 1))
