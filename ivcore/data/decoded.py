"""Small sets decoded once and kept: in memory, and in the cache folder for the next run.

Two thousand clips of 16 frames at 32 pixels are 100 MB and a few seconds of decoding; training then reads from memory. Larger
sets are read clip by clip with `ivcore.data.clips.Clips`.
"""

import contextlib
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ivcore import paths
from ivcore.data.clips import BadVideos, as_records
from ivcore.errors import ParameterError, UserError, VideoError
from ivcore.progress import Progress
from ivcore.video.reader import VideoReader

LARGEST = 8 * 2**30  # bytes of pixels
_kept: dict[str, np.ndarray] = {}


def frame_indices(num_video_frames: int, num_frames: int) -> np.ndarray:
    """`num_frames` indices from the first to the last frame, mirrored about the middle.

    A clip played backwards gives exactly the same frames backwards; with indices rounded to one side it would give slightly different
    ones, and the choice of frames alone would tell an action from its reversal. -> int64 (num_frames,)
    """
    half = (num_frames + 1) // 2
    step = (num_video_frames - 1) / max(num_frames - 1, 1)
    front = np.floor(np.arange(half) * step + 0.5).astype(np.int64)
    if num_frames == 1:
        return np.array([(num_video_frames - 1) // 2])
    return np.concatenate([front, num_video_frames - 1 - front[: num_frames - half][::-1]])


def decode_all(records, size: int, num_frames: int | None = None, *, root=None, workers=None) -> np.ndarray:
    """Every video of a list or Kinetics CSV -> uint8 (N, T, size, size, 3), read-only, in the order of the records.

    The short side is resized to `size` and the middle square kept. num_frames: evenly spaced frames, see `frame_indices`; None takes
    all, and then all videos must have equally many. Kept in memory and in the cache folder under a key of path, length and time of
    change of every file. Raises VideoError for a file that cannot be read, UserError beyond 8 GiB; see `load` for a set with bad files.
    """
    return load(records, size, num_frames, root=root, workers=workers, max_bad=0)["video"]


def load(
    records,
    size: int,
    num_frames: int | None = None,
    *,
    root=None,
    workers: int | None = None,
    max_bad: int | None = None,
    run_dir=None,
) -> dict:
    """As `decode_all`, without the unreadable files (up to `max_bad`, by default one in twenty, listed in `run_dir`).

    -> columns dict(video uint8 (N, T, size, size, 3), label int64 (N,) with -1 for none, index int64 (N,) within the records, path list)
    """
    records = as_records(records, root)
    if any(hasattr(record, "span") for record in records):
        raise UserError("a pretraining list is not kept in memory: set in_memory=false")
    if int(size) != size or size < 1:
        raise ParameterError(f"size={size!r}: must be a whole number of pixels from 1")
    key = _key([record.path for record in records], size, num_frames)
    video, index = _recall(key)
    if video is None:
        bad = BadVideos([record.path for record in records], max_bad, run_dir)
        video, index = _decode([record.path for record in records], size, num_frames, workers, bad)
        if not bad.causes:
            _keep(key, video)
    labels = [getattr(records[i], "label", None) for i in index]
    label = np.array([-1 if label is None else label for label in labels], np.int64)
    return {"video": video, "label": label, "index": index, "path": [records[i].path for i in index]}


def _key(files: list[str], size: int, num_frames: int | None) -> str:
    """Changes whenever a file does: a file that is not there makes a key that is never stored."""
    hasher = hashlib.sha256(json.dumps([2, size, num_frames]).encode())
    for path in files:
        try:
            found = os.stat(path)
            state = f"{found.st_size} {found.st_mtime_ns}"
        except OSError:
            state = "missing"
        hasher.update(f"{os.path.abspath(path)}\0{state}\n".encode())
    return hasher.hexdigest()[:16]


def _file(key: str):
    return paths.cache() / "decoded" / f"{key}.npy"


def _recall(key: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    if key not in _kept and _file(key).exists():
        _kept[key] = np.load(_file(key), allow_pickle=False)
        _kept[key].flags.writeable = False
    video = _kept.get(key)
    return video, None if video is None else np.arange(len(video))


def _keep(key: str, video: np.ndarray) -> None:
    _kept[key] = video
    target = _file(key)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{key}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.save(file, video)
    os.replace(temporary, target)


def _decode(
    files: list[str], size: int, num_frames, workers, bad: BadVideos
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes in threads: both decoders leave Python free meanwhile. The first readable file says how large the result gets."""
    video, index = None, []
    with _pool(workers) as pool, Progress(len(files), "decode", unit="video") as bar:
        jobs = pool.map(lambda path: _try(path, size, num_frames), files)
        for place, (path, result) in enumerate(zip(files, jobs)):
            bar.update(place + 1)
            if isinstance(result, VideoError):
                bad.add(result)
                continue
            if video is None:
                video = _allocate(len(files), result)
            if result.shape != video.shape[1:]:
                raise UserError(
                    f"{path}: {len(result)} frames where the first video has {video.shape[1]}; "
                    f"set in_memory=false to read them file by file (or give num_frames to decoded.load)"
                )
            video[len(index)] = result
            index.append(place)
    if video is None:
        raise UserError(f"none of the {len(files)} videos can be read, e.g. {bad.example()}")
    video = video[: len(index)]
    video.flags.writeable = False
    return video, np.array(index)


@contextlib.contextmanager
def _pool(workers: int | None):
    """Threads that give up what is still waiting when something goes wrong."""
    pool = ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _allocate(number: int, first: np.ndarray) -> np.ndarray:
    if number * first.nbytes > LARGEST:
        raise UserError(
            f"{number} videos of {len(first)} frames at {first.shape[1]} pixels are "
            f"{number * first.nbytes / 2**30:.0f} GiB decoded, more than is kept in memory; read them with Clips"
        )
    return np.empty((number, *first.shape), np.uint8)


def _try(path: str, size: int, num_frames: int | None) -> np.ndarray | VideoError:
    try:
        with VideoReader(path, size) as reader:
            count = len(reader)
            frames = reader.read(np.arange(count) if num_frames is None else frame_indices(count, num_frames))
    except VideoError as error:
        return error
    top, left = (frames.shape[1] - size) // 2, (frames.shape[2] - size) // 2
    return frames[:, top : top + size, left : left + size]
