"""A video as one clip, or as consecutive windows of equal length, decoded piece by piece, so that memory does not grow with the length."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import parent_process
from queue import Empty, Full, Queue
from threading import Event, Thread

import numpy as np

from ivcore.data import crash_safe_pool
from ivcore.data.records import frames_of
from ivcore.data.views import Views
from ivcore.errors import ParameterError, VideoError, shown
from ivcore.video.frame_folder import open_video
from ivcore.video.images import is_image

PIECE = 32 << 20  # bytes of clips that a process hands over at a time
SHORTEST = 0.01  # seconds of a window; a shorter one would have no frame
_LENGTH = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(s|sec|seconds?|f|frames?|)", re.IGNORECASE)


@dataclass(frozen=True)
class Window:
    """Frames [first, stop) of a video, on screen from `start` to `end` seconds."""

    first: int
    stop: int
    start: float
    end: float


@dataclass(frozen=True)
class Length:
    """The length of a window, in seconds or in frames."""

    number: float
    seconds: bool

    def __str__(self) -> str:
        return f"{self.number:g}{'s' if self.seconds else 'f'}"

    @classmethod
    def of(cls, text: str) -> Length:
        """Reads "2", "2.5s" and "2 seconds" as seconds, "48f" and "48 frames" as frames. ParameterError for other text."""
        match = _LENGTH.fullmatch(text.strip())
        seconds = match is not None and not match[2].lower().startswith("f")
        number = float(match[1]) if match else 0.0
        if not SHORTEST <= number <= 1e6 or (not seconds and number != int(number)):
            allowed = f"seconds such as 2.5s, from {SHORTEST:g} on, or whole frames such as 48f"
            raise ParameterError(f"per-window = {shown(text)}: must be {allowed}")
        return cls(number, seconds)

    def windows(self, times: np.ndarray, fps: float) -> list[Window]:
        """The windows of a video with frames at `times` (n,), ascending, in seconds. Each frame is in one window; a rest shorter than half a
        window is added to the last one."""
        count, step = len(times), self.number
        end = float(times[-1]) + 1 / fps
        whole = end if self.seconds else count
        edges = np.arange(max(1, int(whole / step + 0.5))) * step
        firsts = np.searchsorted(times, edges - 1e-6) if self.seconds else edges.astype(int)
        firsts = sorted({0, *(int(first) for first in firsts if first < count)})
        stops = [*firsts[1:], count]
        ends = [float(times[first]) for first in firsts[1:]] + [end]
        return [Window(first, stop, float(times[first]), e) for first, stop, e in zip(firsts, stops, ends)]


@dataclass(frozen=True)
class Piece:
    """Some windows of a video; () means the whole video as one window, with its frames not yet counted."""

    path: str
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """clips uint8 (W, V, T, size, size, 3): the V views of each of W windows."""

    clips: np.ndarray
    windows: tuple[Window, ...]


def lay_out(path: str, length: Length) -> list[Window] | VideoError:
    """The windows of a video, or the VideoError. Decodes nothing, raises nothing."""

    def windows():
        if is_image(path) and not os.path.isdir(path):
            return [Window(0, 1, 0.0, 0.0)]
        with open_video(path) as video:
            return length.windows(np.asarray(video.times), video.fps)

    return _no_error(path, windows)


def decode(piece: Piece, how: dict) -> Decoded | VideoError:
    """The views of each window of a piece, by `data.views.Views(**how)`, or the VideoError. Raises nothing."""
    return _no_error(piece.path, lambda: _decode(piece, Views([], **how)))


def _decode(piece: Piece, views: Views) -> Decoded:
    if parent_process() is not None:  # a worker: use one core, even if resizing imports torch
        os.environ["OMP_NUM_THREADS"] = "1"
    with frames_of(piece, views.size) as (length, read, fps):
        windows = piece.windows or (Window(0, length, 0.0, 0.0),)
        clips = [views.of_frames(w.stop - w.first, lambda indices, w=w: read(w.first + indices), fps) for w in windows]
    return Decoded(np.stack(clips), windows)


def _no_error(path: str, work: Callable):
    try:
        return work()
    except VideoError as error:
        return error
    except Exception as error:  # a bug of a decoder must not end the run
        return VideoError(path, f"{type(error).__name__}: {error}")


def pieces(path: str, windows: Sequence[Window], clip_bytes: int) -> list[Piece]:
    """The windows of a video in pieces of at most PIECE bytes. clip_bytes: bytes of all views of one window."""
    step = max(1, PIECE // clip_bytes)
    return [Piece(path, tuple(windows[i : i + step])) for i in range(0, len(windows), step)]


def each_decoded(todo: Sequence[Piece], how: dict, workers: int) -> Iterator[tuple[int, Decoded | VideoError]]:
    """Yields (index of a piece, result of `decode`) as each is done, in any order; a piece that kills its process gives a VideoError.

    workers: number of processes that decode while the caller uses the results; 0: none, results in order. At most workers + 1 pieces are held.
    """
    return _each(partial(decode, how=how), todo, workers, lambda piece: piece.path)


def each_laid_out(
    paths: Sequence[str], length: Length, workers: int
) -> Iterator[tuple[int, list[Window] | VideoError]]:
    """Yields (index of a path, result of `lay_out`), as `each_decoded`."""
    return _each(partial(lay_out, length=length), paths, workers, str)


def _each(function: Callable, items: Sequence, workers: int, path_of: Callable) -> Iterator[tuple[int, object]]:
    if workers < 1:
        yield from ((index, function(item)) for index, item in enumerate(items))
        return
    for index, result in ahead(lambda left: crash_safe_pool.each(function, items, workers, left), 1):
        died = isinstance(result, crash_safe_pool.Died)
        yield index, VideoError(path_of(items[index]), f"the process that reads it is {result}") if died else result


def ahead(make: Callable[[Callable[[], bool]], Iterator], most: int) -> Iterator:
    """Yields the items of an iterator that a thread runs up to `most` items ahead; the iterator is closed when the caller stops.

    make(left) -> the iterator; left() is true when the caller has stopped.
    """
    queue, left, end = Queue(most), Event(), object()

    def put(item) -> bool:
        while not left.is_set():
            try:
                queue.put(item, timeout=0.2)
                return True
            except Full:
                continue
        return False

    def work():
        items = make(left.is_set)
        try:
            for item in items:
                if not put((item, None)):
                    break
            put((end, None))
        except BaseException as error:
            put((end, error))
        finally:
            items.close()

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error = queue.get(timeout=0.2)
            except Empty:
                continue
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        left.set()
        thread.join()
