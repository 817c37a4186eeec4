"""Decodes small sets once and keeps them in memory, and in the cache folder for the next run.

Two thousand clips of 16 frames at 32 pixels take 100 MB and a few seconds of decoding; training then reads from memory. For larger
sets, `ivcore.data.clips.Clips` reads the files clip by clip.
"""

import contextlib
import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ivcore import paths
from ivcore.cores import cores
from ivcore.data.bad_videos import BadVideos
from ivcore.data.records import frames_of
from ivcore.errors import ParameterError, UserError, VideoError
from ivcore.files import fingerprint, write_atomic
from ivcore.progress import Progress
from ivcore.video.sampling import mirrored

READING = (
    5  # raise it when a file may give other frames, or the cache keeps more of it; cached sets are then decoded again
)
LARGEST = 8 * 2**30  # bytes of pixels
_kept: dict[str, "tuple[np.ndarray | list[np.ndarray], np.ndarray]"] = {}  # videos, and frames a second, 0 for unknown


@dataclass(frozen=True)
class DecodedVideo:
    """A record whose frames are in memory. video: uint8 (T, h, w, 3), read-only; None, with a `cause`, if it cannot be read. fps: frames per
    second, None if unknown."""

    path: str
    video: np.ndarray | None
    label: int | None = None
    stride: int | None = None
    cause: str = ""
    fps: float | None = None


@dataclass(frozen=True)
class DecodedVideos:
    """A sequence of records, each a `DecodedVideo`.

    video: the n readable videos, uint8 (n, T, h, w, 3), or a list of n arrays (T, h, w, 3) if their shapes differ; read-only.
    label: int64 (n,), -1 for none; index: int64 (n,), their positions in `records`; path: list of n.
    """

    video: np.ndarray | list[np.ndarray]
    label: np.ndarray
    index: np.ndarray
    path: list[str]
    records: list[DecodedVideo]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, place):
        return self.records[place]

    def readable(self, rows=None) -> list[DecodedVideo]:
        """The readable records, or only those at `rows` of `index`."""
        return [self.records[self.index[row]] for row in (range(len(self.index)) if rows is None else rows)]


def load(
    records: Sequence,
    size: int,
    num_frames: int | None = None,
    *,
    workers: int | None = None,
    max_bad: int | float | None = None,
    run_dir=None,
    strict: bool = False,
    missing: int = 0,
) -> DecodedVideos:
    """Decodes the frames of the records (see `data.records`), resized to a short side of `size` pixels.

    num_frames: number of evenly spaced frames, see `sampling.mirrored`; None takes all. strict: as in VideoReader. The result is kept in
    memory and in the cache folder; its key contains path, size and modification time of every file. max_bad, run_dir, missing: see `BadVideos`;
    all bad files are listed before too many of them raise UserError. UserError also above 8 GiB, for no records, or none readable.
    """
    if int(size) != size or size < 1:
        raise ParameterError(f"size={size!r}: must be a whole number of pixels from 1")
    if not len(records):
        raise UserError("no videos: the list of records is empty")
    key = _key(records, size, num_frames, strict)
    (video, fps), index, causes = _recall(key, len(records)), np.arange(len(records)), {}
    if video is None:
        bad = BadVideos([record.path for record in records], max_bad, run_dir, missing)
        video, fps, index, causes = _decode(records, size, num_frames, workers, bad, strict)
        if not causes:
            _keep(key, video, fps)
    row = dict(zip(index.tolist(), zip(video, fps.tolist())))
    decoded = []
    for i, record in enumerate(records):
        frames, rate = row.get(i, (None, 0.0))
        about = getattr(record, "label", None), getattr(record, "stride", None), causes.get(i, ""), rate or None
        decoded.append(DecodedVideo(record.path, frames, *about))
    readable = [decoded[i] for i in index]
    label = np.array([-1 if r.label is None else r.label for r in readable], np.int64)
    return DecodedVideos(video, label, index, [r.path for r in readable], decoded)


def _key(records, size: int, num_frames: int | None, strict: bool) -> str:
    """A key that changes when a file does. If a file is missing, nothing is stored under the key."""
    hasher = hashlib.sha256(json.dumps([READING, size, num_frames, strict]).encode())
    for record in records:
        state = "{} {}".format(*fingerprint(record.path))
        part = repr(record) if hasattr(record, "end") or hasattr(record, "span") else ""
        hasher.update(f"{os.path.abspath(record.path)}\0{state}\0{part}\n".encode(errors="surrogateescape"))
    return hasher.hexdigest()[:16]


def _file(key: str):
    return paths.cache() / "decoded" / f"{key}.npz"


def _recall(key: str, number: int):
    """(the videos kept under a key, their frames per second); None twice if there are none, or if the file is damaged (it is then made again)."""
    if key not in _kept and _file(key).exists():
        try:
            with np.load(_file(key), allow_pickle=False) as file:
                video, fps = _cut(file["pixels"], file["shapes"]), file["fps"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, IndexError) as error:
            warnings.warn(f"{_file(key)} is damaged and made anew: {error}", stacklevel=2)
            return None, None
        if len(video) == len(fps) == number:
            _kept[key] = video, fps
    return _kept.get(key, (None, None))


def _cut(pixels: np.ndarray, shapes: np.ndarray):
    """Cuts flat pixels into n videos of these shapes (n, 4). ValueError if the two do not fit."""
    if pixels.dtype != np.uint8 or shapes.ndim != 2 or shapes.shape[1] != 4 or not len(shapes):
        raise ValueError("not what was written")
    ends = shapes.prod(1).cumsum()
    if ends[-1] != pixels.size or shapes.min() < 1:
        raise ValueError("not what was written")
    pixels.flags.writeable = False
    if (shapes == shapes[0]).all():
        return pixels.reshape(len(shapes), *shapes[0])
    return [part.reshape(shape) for part, shape in zip(np.split(pixels, ends[:-1]), shapes)]


def _keep(key: str, video, fps: np.ndarray) -> None:
    _kept[key] = video, fps
    shapes = np.array([one.shape for one in video])
    dense = isinstance(video, np.ndarray)
    pixels = video.reshape(-1) if dense else np.concatenate([one.reshape(-1) for one in video])

    def write(scratch) -> None:
        with open(scratch, "wb") as file:  # numpy would add a suffix to a name
            np.savez(file, pixels=pixels, shapes=shapes, fps=fps)

    write_atomic(_file(key), write)


def _decode(records, size: int, num_frames, workers, bad: BadVideos, strict: bool):
    """(videos, frames per second float64 (n,), their positions, position -> why it cannot be read). Uses threads, because both decoders release
    Python's lock."""
    videos, rates, index, causes, total = [], [], [], {}, 0
    with _pool(workers) as pool, Progress(len(records), "decode", unit="video") as bar:
        jobs = pool.map(lambda record: _try(record, size, num_frames, strict), records)
        for place, (record, result) in enumerate(zip(records, jobs)):
            bar.update(place + 1)
            if isinstance(result, VideoError):
                bad.note(result)
                causes[place] = result.cause
                continue
            frames, fps = result
            total += frames.nbytes
            if total > LARGEST:
                about = total / (place + 1) * len(records) / 2**30
                raise UserError(
                    f"{record.path}: {len(records)} videos would be about {about:.0f} GiB decoded, more than is kept in "
                    f"memory; set in_memory=false"
                )
            videos.append(frames)
            rates.append(fps)
            index.append(place)
    bad.refuse_too_many()
    if not videos:
        raise UserError(f"none of the {len(records)} videos can be read, e.g. {bad.example()}")
    return _together(videos), np.array(rates), np.array(index), causes


def _together(videos: list[np.ndarray]):
    """One array if all shapes agree, else the list. Frees each video when it is copied."""
    shapes = {video.shape for video in videos}
    if len(shapes) > 1:
        for video in videos:
            video.flags.writeable = False
        return videos
    together = np.empty((len(videos), *shapes.pop()), np.uint8)
    for place in range(len(videos)):
        together[place], videos[place] = videos[place], None
    together.flags.writeable = False
    return together


@contextlib.contextmanager
def _pool(workers: int | None):
    """A pool of threads that cancels waiting jobs when it is left, also by an error."""
    pool = ThreadPoolExecutor(workers or cores())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _try(record, size: int, num_frames: int | None, strict: bool) -> tuple[np.ndarray, float] | VideoError:
    """(its frames, how many a second has, 0 for unknown), or what is wrong with it."""
    try:
        with frames_of(record, size, strict) as (length, read, fps):
            if num_frames is None:
                return np.ascontiguousarray(read(np.arange(length))), float(fps or 0)
            return np.ascontiguousarray(read(mirrored(length, num_frames))), 0.0
    except VideoError as error:
        return error
