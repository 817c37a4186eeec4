"""Small sets decoded once and kept: in memory, and in the cache folder for the next run.

Two thousand clips of 16 frames at 32 pixels are 100 MB and a few seconds of decoding; training then reads from memory. Larger
sets are read clip by clip with `ivcore.data.clips.Clips`.
"""

import contextlib
import hashlib
import json
import os
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ivcore import paths
from ivcore.data.clips import BadVideos, as_records, span
from ivcore.errors import ParameterError, UserError, VideoError
from ivcore.progress import Progress
from ivcore.video.frame_folder import open_video
from ivcore.video.sampling import mirrored

READING = 4  # raised when the same file may give other frames than before: what was kept is then decoded anew
LARGEST = 8 * 2**30  # bytes of pixels
_kept: dict[str, "np.ndarray | list[np.ndarray]"] = {}


def decode_all(records, size: int, num_frames: int | None = None, *, root=None, workers=None) -> np.ndarray:
    """The middle square of every video of a list or Kinetics CSV -> uint8 (N, T, size, size, 3), read-only, in the order of the records.

    num_frames: evenly spaced frames, see `sampling.mirrored`; None takes all, and then all videos must have equally many. Raises VideoError
    for a file that cannot be read, UserError for videos of different lengths and beyond 8 GiB; see `load` for a set with bad files.
    """
    columns = load(records, size, num_frames, root=root, workers=workers, max_bad=0)
    squares = [_square(video, size) for video in columns["video"]]
    for path, video in zip(columns["path"], squares):
        if len(video) != len(squares[0]):
            raise UserError(
                f"{path}: {len(video)} frames where the first video has {len(squares[0])}; give num_frames"
            )
    if isinstance(columns["video"], np.ndarray) and columns["video"].shape[2:4] == (size, size):
        return columns["video"]
    return np.stack(squares)


def load(
    records,
    size: int,
    num_frames: int | None = None,
    *,
    root=None,
    workers: int | None = None,
    max_bad: int | float | None = None,
    run_dir=None,
    strict: bool = False,
) -> dict:
    """The frames of every readable video of a list or Kinetics CSV, resized to a short side of `size`; of records of part of a video, of that part.

    num_frames: evenly spaced frames, see `sampling.mirrored`; None takes all. Kept in memory and in the cache folder under a key of path,
    length and time of change of every file. strict: as in VideoReader. max_bad, run_dir: see `clips.BadVideos`; that list is complete before too many bad files are
    refused.
    -> columns dict(video, label int64 (n,) with -1 for none, index int64 (n,) within the records, path list, records N, stride list where records have one). video is uint8
    (n, T, h, w, 3), or a list of n arrays (T, h, w, 3) where lengths or shapes differ; read-only. UserError beyond 8 GiB.
    """
    records = as_records(records, root)
    if int(size) != size or size < 1:
        raise ParameterError(f"size={size!r}: must be a whole number of pixels from 1")
    key = _key(records, size, num_frames, strict)
    video, index = _recall(key, len(records)), np.arange(len(records))
    if video is None:
        bad = BadVideos([record.path for record in records], max_bad, run_dir)
        video, index = _decode(records, size, num_frames, workers, bad, strict)
        if not bad.causes:
            _keep(key, video)
    labels = [getattr(records[i], "label", None) for i in index]
    label = np.array([-1 if label is None else label for label in labels], np.int64)
    named = [records[i].path for i in index]
    strides = [getattr(records[i], "stride", None) for i in index]
    columns = {"video": video, "label": label, "index": index, "path": named, "records": len(records)}
    return columns | ({"stride": strides} if any(strides) else {})


def rows(columns: dict, chosen) -> dict:
    """The columns at these rows, as a set of its own."""
    video = columns["video"]
    video = video[chosen] if isinstance(video, np.ndarray) else [video[i] for i in chosen]
    named = [columns["path"][i] for i in chosen]
    some = {"video": video, "label": columns["label"][chosen], "path": named}
    if "stride" in columns:
        some["stride"] = [columns["stride"][i] for i in chosen]
    return some | {"index": np.arange(len(named)), "records": len(named)}


def _square(video: np.ndarray, size: int) -> np.ndarray:
    top, left = (video.shape[1] - size) // 2, (video.shape[2] - size) // 2
    return video[:, top : top + size, left : left + size]


def _key(records, size: int, num_frames: int | None, strict: bool) -> str:
    """Changes whenever a file does: a file that is not there makes a key that is never stored."""
    hasher = hashlib.sha256(json.dumps([READING, size, num_frames, strict]).encode())
    for record in records:
        try:
            found = os.stat(record.path)
            state = f"{found.st_size} {found.st_mtime_ns}"
        except OSError:
            state = "missing"
        part = repr(record) if hasattr(record, "end") or hasattr(record, "span") else ""
        hasher.update(f"{os.path.abspath(record.path)}\0{state}\0{part}\n".encode(errors="surrogateescape"))
    return hasher.hexdigest()[:16]


def _file(key: str):
    return paths.cache() / "decoded" / f"{key}.npz"


def _recall(key: str, number: int):
    """The videos kept under a key; None where there are none, or where the file is damaged: it is made anew then."""
    if key not in _kept and _file(key).exists():
        try:
            with np.load(_file(key), allow_pickle=False) as file:
                video = _cut(file["pixels"], file["shapes"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, IndexError) as error:
            warnings.warn(f"{_file(key)} is damaged and made anew: {error}", stacklevel=2)
            return None
        if len(video) == number:
            _kept[key] = video
    return _kept.get(key)


def _cut(pixels: np.ndarray, shapes: np.ndarray):
    """Videos of these shapes (n, 4) from all their pixels in a row."""
    if pixels.dtype != np.uint8 or shapes.ndim != 2 or shapes.shape[1] != 4 or not len(shapes):
        raise ValueError("not what was written")
    ends = shapes.prod(1).cumsum()
    if ends[-1] != pixels.size or shapes.min() < 1:
        raise ValueError("not what was written")
    pixels.flags.writeable = False
    if (shapes == shapes[0]).all():
        return pixels.reshape(len(shapes), *shapes[0])
    return [part.reshape(shape) for part, shape in zip(np.split(pixels, ends[:-1]), shapes)]


def _keep(key: str, video) -> None:
    _kept[key] = video
    target = _file(key)
    shapes = np.array([each.shape for each in video])
    dense = isinstance(video, np.ndarray)
    pixels = video.reshape(-1) if dense else np.concatenate([each.reshape(-1) for each in video])
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{key}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez(file, pixels=pixels, shapes=shapes)
    os.replace(temporary, target)


def _decode(records, size: int, num_frames, workers, bad: BadVideos, strict: bool):
    """(videos, their places): decoded in threads, since both decoders leave Python free meanwhile."""
    videos, index, total = [], [], 0
    with _pool(workers) as pool, Progress(len(records), "decode", unit="video") as bar:
        jobs = pool.map(lambda record: _try(record, size, num_frames, strict), records)
        for place, (record, result) in enumerate(zip(records, jobs)):
            bar.update(place + 1)
            if isinstance(result, VideoError):
                bad.note(result)
                continue
            total += result.nbytes
            if total > LARGEST:
                raise _too_large(record, total, place + 1, len(records))
            videos.append(result)
            index.append(place)
    bad.refuse_too_many()
    if not videos:
        raise UserError(f"none of the {len(records)} videos can be read, e.g. {bad.example()}")
    return _together(videos), np.array(index)


def _together(videos: list[np.ndarray]):
    """One array where all shapes agree; each video is let go as it is copied."""
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


def _too_large(record, total: int, done: int, number: int) -> UserError:
    about = total / done * number / 2**30
    return UserError(
        f"{record.path}: {number} videos would be about {about:.0f} GiB decoded, more than is kept in memory; "
        f"set in_memory=false"
    )


@contextlib.contextmanager
def _pool(workers: int | None):
    """Threads that give up what is still waiting when something goes wrong."""
    pool = ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _try(record, size: int, num_frames: int | None, strict: bool) -> np.ndarray | VideoError:
    try:
        with open_video(record.path, size, strict) as reader:
            first, stop = span(record, reader)
            frames = np.arange(stop - first) if num_frames is None else mirrored(stop - first, num_frames)
            return np.ascontiguousarray(reader.read(first + frames))
    except VideoError as error:
        return error
