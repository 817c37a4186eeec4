"""`iv features`: writes the features of many videos to one folder.

features.npy          float32 (N, D), or features.safetensors with the tensor `features`
index.csv             for each row: row, video, first and stop (frames), start and end (seconds, with windows only)
bad_videos.jsonl      videos that could not be read, and why
videos/…              a complete file for each video; existing ones are not computed again
done.jsonl            the state of each video when its file was made
settings.json         model and sampling; a call with other settings is refused
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ivcore import files, lock, paths, signals
from ivcore.cores import cores
from ivcore.data import sliding, video_answers, video_files
from ivcore.data.video_answers import Answer, VideoModel
from ivcore.data.windows import Length, Piece, Window, each_laid_out, pieces
from ivcore.errors import ParameterError, UserError, VideoError, counted, one_line, shown
from ivcore.progress import Progress
from ivcore.run import environment, finished_model
from ivcore.run.spec import brief

_MOST_FRAMES = 10**6  # largest distance between two vectors
_LONGEST = 200  # bytes of a file name, without its endings
_NAMES = ("model", "source")  # settings that are not compared: the digest of the weights identifies a model
_SHOWN = 3  # bad videos on the terminal


def features(
    place: str,
    *,
    model: str | None = None,
    out: str | None = None,
    per_window: str | None = None,
    every: int | None = None,
    format: str = "npy",
    workers: int | None = None,
    device: str = "auto",
    searchable: bool = False,
) -> int:
    """Writes the features of the videos at `place`. Returns the exit status. Arguments as in the command.

    searchable: makes an index for `ivcore.run.video_index`. Its model must read text; its folder is for this place
    only, and features of deleted videos are removed.
    """
    length = None if per_window is None else Length.of(per_window)
    if every is not None and (length or not 1 <= every <= _MOST_FRAMES):
        raise ParameterError(
            f"every = {shown(every)}: must be 1 frame or more, at most {_MOST_FRAMES}, and not beside per-window"
        )
    chosen = None if out is None else paths.candidates(out)[0]
    if chosen is not None and chosen.exists() and not chosen.is_dir():
        raise ParameterError(f"out = {shown(out)}: is not a folder")
    videos = video_files.find(place, chosen)
    asked = model or (finished_model.LABELS if searchable else finished_model.CLASSES)
    source = finished_model.find(asked)
    loaded = VideoModel.load(source, environment.pick_device(device), asked)
    if searchable:
        loaded.tokenizer("sentences")
    for note in loaded.notes():
        print(one_line(note))
    loaded = video_answers.one_clip(loaded) if length or every else loaded
    settings = _settings(loaded, length, format) | ({"every": every} if every else {})
    if searchable:  # stores the base of relative paths, in case the place is deleted
        settings |= {"place": os.path.abspath(place), "base": _base(place)}
    moving = every and sliding.of_usage(loaded, every)
    folder = chosen or _default("index" if searchable else "features", place, asked, settings)
    _make(folder)
    with lock.held(folder):
        store = Store(folder, Path(os.path.abspath(place)), format)
        store.claim(settings | {"model": brief(asked), "source": source}, out)
        if searchable:
            store.forget(videos)
        return _fill(store, videos, loaded, length, cores() if workers is None else workers, moving)


def _settings(model: VideoModel, length: Length | None, format: str) -> dict:
    """Settings that features depend on. Other settings need another folder."""
    told = ("classes", "answers", "tokenizer", "known")  # these change no feature
    used = {name: value for name, value in asdict(model.usage).items() if name not in told and value is not None}
    return {"weights": model.digest, "per_window": length and str(length), "format": format, **used}


def _default(kind: str, place: str, model: str, settings: dict) -> Path:
    whole = json.dumps([os.path.abspath(place), settings], sort_keys=True)
    digest = hashlib.sha256(whole.encode(errors="surrogateescape")).hexdigest()[:8]
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(os.path.abspath(place)).stem) or "videos"
    return paths.outputs() / kind / f"{name[:80]}-{brief(model).replace('/', '-').replace(':', '-')[:60]}-{digest}"


def _base(place: str | os.PathLike) -> str:
    """Base folder of the paths in index.csv."""
    place = os.path.abspath(place)
    return place if os.path.isdir(place) else os.path.dirname(place)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from None


@dataclass(frozen=True)
class Done:
    """A finished video: size in bytes and last change in ns at that time, feature file, windows of its rows."""

    video: str
    size: int
    changed: int
    file: str
    windows: tuple[Window, ...]


class Store:
    """The folder of features. Several threads may call `put` at once."""

    def __init__(self, folder: Path, place: Path, format: str):
        self.folder, self.format = folder, format
        self.base = Path(_base(place))
        self.lock, self.done, self.owner = threading.Lock(), {}, {}

    def claim(self, settings: dict, out: str | None) -> None:
        """Prepares the folder. UserError if it holds other files, or features with other settings."""
        for name in (
            "settings.json",
            "done.jsonl",
            f"features.{self.format}",
            "index.csv",
            "bad_videos.jsonl",
            "videos",
        ):
            path = self.folder / name
            plain = path.is_dir() if name == "videos" else path.is_file() and not path.is_symlink()
            if not plain and os.path.lexists(
                path
            ):  # writing to a link changes another file, and writing to a pipe waits
                kind, there = ("folder", "no folder") if name == "videos" else ("file", "no plain file")
                raise UserError(
                    f"{path}: is {there}, and a {kind} of that name is written; rename it, or give another --out"
                )
        file = self.folder / "settings.json"
        if file.exists():
            there = read_settings(self.folder)
            names = [name for name in settings if name not in _NAMES and there.get(name) != settings[name]]
            if names:
                name = names[0]
                what = (
                    f"of another model, {there.get('model')}"
                    if name == "weights"
                    else f"with {name} = {there.get(name)}, not {settings[name]}"
                )
                raise UserError(f"{self.folder}: holds features {what}; give another --out, or none")
        elif out is not None and any(each.name != ".lock" for each in self.folder.iterdir()):
            raise UserError(f"{self.folder}: holds files of something else; give an empty or a new folder as --out")
        else:
            files.write_json(file, settings)
        for scratch in self.folder.rglob(".*.tmp"):  # left by a killed process: the folder is locked
            if not scratch.is_dir():
                scratch.unlink(missing_ok=True)
        self.read()

    def read(self) -> None:
        """Reads done.jsonl."""
        try:
            lines = (self.folder / "done.jsonl").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                row = json.loads(line)
                self._note(Done(**row | {"windows": tuple(_window(*each) for each in row["windows"])}))
            except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):  # a line cut off by a kill
                continue

    def _note(self, done: Done) -> None:
        """Notes a finished video; the last with a file owns it. Ignores files outside videos/, since it deletes damaged
        ones."""
        short = all(len(os.fsencode(part)) <= 255 for part in Path(done.file).parts)
        if os.path.normpath(done.file).startswith("videos/") and short:
            self.done[done.video], self.owner[done.file] = done, done.video

    def has(self, video: str) -> bool:
        """True if there are features of this video file in its current state."""
        done = self.done.get(video)
        there = done is not None and self.owner[done.file] == video and (self.folder / done.file).is_file()
        return there and (done.size, done.changed) == files.fingerprint(video)

    def forget(self, videos: list[str]) -> None:
        """Removes the features of all other videos. After a kill, the next call continues."""
        gone = set(self.done) - set(videos)
        for video in gone:
            done = self.done.pop(video)
            if self.owner[done.file] == video:
                (self.folder / done.file).unlink(missing_ok=True)
        if gone:
            kept = "".join(f"{json.dumps(_row(done))}\n" for done in self.done.values())
            files.write_text(self.folder / "done.jsonl", kept)
            print(f"{counted(len(gone), 'video')} gone, and forgotten")

    def put(self, video: str, as_it_was: tuple[int, int], values: np.ndarray, windows: tuple[Window, ...]) -> None:
        done = Done(video, *as_it_was, self._file_of(video), windows)
        self._write(self.folder / done.file, values, sync=False)  # `join` detects a damaged file
        with self.lock, open(self.folder / "done.jsonl", "a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                cut = file.read() != b"\n"
            else:
                cut = False
            file.write(b"\n" * cut + json.dumps(_row(done)).encode() + b"\n")
            self._note(done)

    def _file_of(self, video: str) -> str:
        """File for a video, named like it. A digest if that is impossible (outside the folder, too long, a folder)."""
        try:
            relative = Path(video).relative_to(self.base)
        except ValueError:
            relative = None
        long = relative and any(len(os.fsencode(part)) > _LONGEST for part in relative.parts)
        if relative in (None, Path()) or long or self._meets_another(relative):
            relative = Path(hashlib.sha256(os.fsencode(video)).hexdigest()[:24])
        return os.path.join("videos", f"{relative}.{self.format}")

    def _meets_another(self, relative: Path) -> bool:
        """True if a file could clash with a folder, as the file of a.mp4 does with a folder a.mp4.npy."""
        inside = any(part.endswith(f".{self.format}") for part in relative.parts[:-1])
        return inside or (self.folder / "videos" / f"{relative}.{self.format}").is_dir()

    def _write(self, path: Path, values: np.ndarray, sync: bool = True) -> None:
        def write(scratch: Path) -> None:
            if self.format == "npy":
                with open(scratch, "wb") as file:
                    np.save(file, values)
            else:
                from safetensors.numpy import save_file

                save_file({"features": np.ascontiguousarray(values)}, scratch)

        files.write_atomic(path, write, sync)

    def load(self, done: Done) -> np.ndarray | None:
        """The features (T, C) of a video. Deletes a damaged file and returns None."""
        path = self.folder / done.file
        try:
            if self.format == "npy":
                values = np.load(path, mmap_mode="r")  # mmap refuses a file that is cut off or claims to be huge
            else:
                from safetensors.numpy import load_file

                values = load_file(path)["features"]
            if values.dtype == np.float32 and values.ndim == 2 and len(values) == len(done.windows):
                return np.array(values)
        except OSError:
            raise
        except Exception:  # the readers raise many kinds for broken files
            pass
        path.unlink()
        return None

    def join(self, videos: list[str]) -> tuple[int, int] | None:
        """Writes features.npy and index.csv of these videos, in order. Returns (N, D); None after deleting damaged
        ones."""
        whole, index = self.folder / f"features.{self.format}", self.folder / "index.csv"
        index.unlink(missing_ok=True)  # an index must never belong to other features
        parts = [self.load(self.done[video]) for video in videos]
        if damaged := sum(part is None for part in parts):
            print(f"{damaged} files of features were damaged and are made again", flush=True)
            return None
        widths = Counter(part.shape[1] for part in parts)
        if others := [video for video, part in zip(videos, parts) if part.shape[1] != widths.most_common(1)[0][0]]:
            for video in others:
                (self.folder / self.done[video].file).unlink()
            print(f"{len(others)} files of features have another width and are made again", flush=True)
            return None
        values = np.concatenate(parts)
        self._write(whole, values)
        text = io.StringIO()
        quoting = (
            csv.QUOTE_ALL if any("\r" in video for video in videos) else csv.QUOTE_MINIMAL
        )  # QUOTE_MINIMAL does not quote "\r"
        table = csv.writer(text, lineterminator="\n", quoting=quoting)
        table.writerow(["row", "video", "first", "stop", "start", "end"])
        rows = ((video, window) for video in videos for window in self.done[video].windows)
        for row, (video, w) in enumerate(rows):
            seconds = [f"{w.start:.3f}", f"{w.end:.3f}"] if w.end else ["", ""]
            table.writerow([row, os.path.relpath(video, self.base), w.first, w.stop, *seconds])
        data = text.getvalue().encode(errors="surrogateescape")
        files.write_atomic(index, lambda scratch: scratch.write_bytes(data))
        return values.shape

    def note_bad(self, errors: list[VideoError]) -> None:
        text = "".join(f"{json.dumps({'path': error.path, 'cause': error.cause})}\n" for error in errors)
        files.write_text(self.folder / "bad_videos.jsonl", text)


def _row(done: Done) -> dict:
    return asdict(done) | {"windows": [list(asdict(window).values()) for window in done.windows]}


def opened(folder: str) -> Store | None:
    """Opens a folder made by `iv features --every`, or its videos/; None if it is not one of `iv features`.

    ParameterError for a folder of `iv features` without --every.
    """
    places = [place for place in (Path(folder), Path(folder).parent) if (place / "done.jsonl").is_file()]
    if not places:
        return None
    settings = read_settings(places[0])
    if not settings.get("every"):
        raise ParameterError(f"features = {shown(folder)}: was not made by `iv features --every`")
    store = Store(places[0], places[0], settings.get("format", "npy"))
    store.read()
    return store


def _window(first, stop, start, end) -> Window:
    window = Window(int(first), int(stop), float(start), float(end))
    if not math.isfinite(window.start) or not math.isfinite(window.end):
        raise ValueError("no seconds")
    return window


def read_settings(folder: Path) -> dict:
    """Reads settings.json. UserError if it is missing or damaged."""
    file = folder / "settings.json"
    try:
        there = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (OSError, ValueError, RecursionError):
        there = None
    if not isinstance(there, dict):
        raise UserError(f"{file}: is damaged, so what the features there are of is not known; give another --out")
    return there


def _fill(store: Store, videos: list[str], model: VideoModel, length: Length | None, workers: int, moving: sliding.Sliding | None = None) -> int:  # fmt: skip
    todo = [video for video in videos if not store.has(video)]
    workers = min(workers, len(todo)) if len(todo) > 1 else 0
    as_it_was = {video: files.fingerprint(video) for video in todo}
    bad: dict[str, VideoError] = {}
    label = f"features, {len(videos) - len(todo)} there" if len(todo) < len(videos) else "features"
    with (
        signals.ending() as stopped,
        Progress(len(videos), label, start=len(videos) - len(todo), unit="video") as bar,
        ThreadPoolExecutor(4) as writers,
    ):
        laid = _laid_out(model, todo, length, workers, bad, stopped)
        left = {video: len(some) for video, some in laid.items()}
        work = [piece for some in laid.values() for piece in some]
        got, writes, ready = defaultdict(dict), [], len(videos) - len(todo) + len(bad)
        how = partial(sliding.answers, sliding=moving) if moving else partial(video_answers.answers, workers=workers)
        for index, result in how(model.features, model, todo=work) if work else ():
            path = work[index].path
            left[path] -= 1
            if isinstance(result, VideoError):
                bad.setdefault(path, result)
            else:
                got[path][index] = result
            if not left[path]:
                ready += 1
                parts = got.pop(path, {})
                if path not in bad:
                    writes.append(writers.submit(store.put, path, as_it_was[path], *_joined(parts)))
                bar.update(ready, **({"bad": len(bad)} if bad else {}))
                writes = _checked(writes)
            if stopped:
                break
        for write in writes:
            write.result()
    store.note_bad(list(bad.values()))
    if stopped:
        there = sum(map(store.has, videos))
        print(f"{stopped[0]}: {there} of {len(videos)} videos are there; the same command continues")
        return 130 if stopped[0] == "interrupted" else 143
    if _report(store, [video for video in videos if video not in bad], list(bad.values())):
        return 0
    return _fill(store, videos, model, length, workers, moving)


def _checked(writes: list) -> list:
    """Returns the unfinished writes. Raises the error of a failed one."""
    for write in writes:
        if write.done():
            write.result()
    return [write for write in writes if not write.done()]


def _laid_out(model, todo, length, workers, bad, stopped) -> dict[str, list[Piece]]:
    """{video: pieces to decode}. Unreadable videos go to `bad`."""
    if length is None:
        return {video: [Piece(video)] for video in todo}
    laid = {}
    for index, windows in each_laid_out(todo, length, workers):
        if isinstance(windows, VideoError):
            bad[todo[index]] = windows
        else:
            laid[todo[index]] = pieces(todo[index], windows, model.clip_bytes)
        if stopped:
            return {}
    return {video: laid[video] for video in todo if video in laid}


def _joined(parts: dict[int, Answer]) -> tuple[np.ndarray, tuple[Window, ...]]:
    """Pieces of a video -> (features (W, D) averaged over views, its windows)."""
    ordered = [parts[index] for index in sorted(parts)]
    values = np.concatenate([part.values.mean(1).numpy() for part in ordered])
    return values, tuple(window for part in ordered for window in part.windows)


def _report(store: Store, videos: list[str], bad: list[VideoError]) -> bool:
    """Joins the features and prints a summary. False if files were damaged. UserError if no video can be read."""
    for error in bad[:_SHOWN]:
        print(f"not read: {error}")
    if len(bad) > _SHOWN:
        print(f"… and {len(bad) - _SHOWN} more, all in {paths.short(store.folder / 'bad_videos.jsonl')}")
    if not videos:
        (store.folder / "index.csv").unlink(missing_ok=True)  # it belongs to earlier videos
        raise UserError(f"none of the {len(bad)} videos can be read")
    if not (shape := store.join(videos)):
        return False
    rows, width = shape
    print(
        f"{counted(rows, 'row')} of {width} numbers from {counted(len(videos), 'video')}, {len(bad)} could not be read"
    )
    print(paths.short(store.folder))
    return True
