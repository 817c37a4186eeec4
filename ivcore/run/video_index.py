"""Searches an index of `iv index` for the moments of your own videos that are nearest to a sentence.

    index = VideoIndex.open(find("my_videos"))
    for hit in index.search("a dog chases a ball", top=5):
        print(hit.score, hit.video, hit.window.start, hit.window.end)

The index is a folder of `ivcore.run.features` whose model reads text. usearch compares the sentence with every row:
this is exact, takes less than a millisecond for a thousand rows, reads features.npy directly without a second copy, and
needs no server. Libraries with their own vector files (FAISS, LanceDB) are eight and thirty times as large to install,
and FAISS's OpenMP clashes with that of torch on macOS.
"""

from __future__ import annotations

import csv
import math
import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from usearch.index import MetricKind, search

from ivcore import paths
from ivcore.data.records import frames_of
from ivcore.data.video_answers import VideoModel
from ivcore.data.windows import Piece, Window
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import UserError, one_line, shown
from ivcore.run import environment, finished_model, video_arguments
from ivcore.run.features import read_settings
from ivcore.run.terminal import clock

SETTINGS = ("place", "base", "source", "weights", "model")  # settings of an index, all text


@dataclass(frozen=True)
class Hit:
    """A found window. score: cosine similarity of sentence and window. whole: the window is the whole video."""

    video: str
    window: Window
    score: float
    whole: bool

    @property
    def moment(self) -> str:
        """Time of the window in the video, "0:04–0:08"; "" for a whole video."""
        return "" if self.whole else f"{clock(self.window.start)}–{clock(self.window.end)}"

    def frames(self, size: int, count: int = 8) -> np.ndarray:
        """`count` frames from the first to the last, evenly, short side `size` pixels: uint8 (count, H, W, 3).

        VideoError if the file is missing or damaged by now.
        """
        with frames_of(Piece(self.video), size) as (length, read, _):
            last = min(self.window.stop, length) - 1
            return read(np.linspace(min(self.window.first, last), last, count).round().astype(int))


def find(place: str | None) -> Path:
    """Folder of an index: `place` itself, that of the videos at `place`, or the newest (None). UserError if none."""
    made = {folder: found for folder in (paths.outputs() / "index").glob("*") if (found := _settings(folder))}
    if place is not None:
        if _settings(Path(place)):
            return Path(place)
        meant = os.path.realpath(place)
        made = {folder: found for folder, found in made.items() if os.path.realpath(found["place"]) == meant}
    if not made:
        what = "no videos are" if place is None else f"{shown(place)}: is not"
        raise UserError(f"{what} indexed yet, `iv index {'FOLDER' if place is None else shown(place)}` does it")
    return max(made, key=_when)


def _settings(folder: Path) -> dict | None:
    """Settings of an index; None for any other folder, also for features and damaged ones."""
    try:
        found = read_settings(folder)
    except (UserError, OSError, ValueError):
        return None
    return found if all(isinstance(found.get(name), str) for name in SETTINGS) else None


def _again(folder: Path, settings: dict) -> str:
    """The command that updates this index. By default place, model and windows determine its folder."""
    windows = settings.get("per_window")
    command = ["iv", "index", settings["place"]]
    command += ["--model", settings["source"]] * (settings["source"] != finished_model.LABELS)
    command += ["--per-window", str(windows)] * (windows != video_arguments.WINDOW)
    command += ["--out", str(folder)] * (os.path.realpath(folder.parent) != os.path.realpath(paths.outputs() / "index"))
    return one_line(shlex.join(command))


def _when(folder: Path) -> float:
    """Time of the index's last update; 0 if it is not finished."""
    try:
        return (folder / "index.csv").stat().st_mtime
    except OSError:
        return 0.0


@dataclass(frozen=True)
class VideoIndex:
    """An opened index. vectors (N, E): row i belongs to windows[i] of videos[i]."""

    folder: Path
    place: str
    vectors: np.ndarray
    videos: list[str]
    windows: list[Window]
    model: VideoModel
    tokenizer: Tokenizer

    @classmethod
    def open(cls, folder: Path, device: str = "auto") -> VideoIndex:
        """Opens an index. UserError if the folder is no index, is not finished, or its model has changed."""
        if (settings := _settings(folder)) is None:
            raise UserError(f"{folder}: is no index, or a damaged one; `iv index` makes one")
        name = settings["model"]
        model = VideoModel.load(finished_model.find(settings["source"]), environment.pick_device(device), name)
        if model.digest != settings["weights"]:
            raise UserError(f"{folder}: was made with another {name} than there is now; `iv index {shlex.quote(settings['place'])} --out NEW_FOLDER` makes a new one")  # fmt: skip
        tokenizer = model.tokenizer("sentences")
        try:
            vectors = np.ascontiguousarray(np.load(folder / "features.npy", mmap_mode="r"))
            rows = list(_rows(folder / "index.csv", settings["base"]))
            sound = vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == len(rows) > 0
            sound = sound and np.isfinite(vectors).all() and all(math.isfinite(w.start + w.end) for _, w in rows)
        except Exception:  # the readers raise many kinds for broken files
            sound = False
        if not sound or vectors.shape[1] != len(model.embed_text("a video", tokenizer)[0]):
            raise UserError(f"{folder}: the index is not finished, or damaged; `{_again(folder, settings)}` goes on")
        videos, windows = [video for video, _ in rows], [window for _, window in rows]
        index = cls(folder, settings["place"], vectors, videos, windows, model, tokenizer)
        index.search("a video")  # warm-up: the first answer is then as fast as others
        return index

    def search(self, sentence: str, top: int = 5, moments: bool = False) -> tuple[list[Hit], list[str], float]:
        """(hits: the nearest window of each of the `top` nearest existing videos; notes; seconds of the search).

        moments: the `top` nearest windows instead, perhaps several of one video. UserError for an empty sentence.
        """
        if not sentence.strip():
            raise UserError("the sentence to search for is empty")
        began, count = time.perf_counter(), len(self.vectors)
        query, notes = self.model.embed_text(sentence, self.tokenizer)
        wanted, here = (top if moments else 4 * top), {}
        while True:
            found = search(self.vectors, query.numpy(), min(wanted, count), MetricKind.Cos, exact=True)
            hits, seen = [], set()
            for row, distance in zip(found.keys.tolist(), found.distances.tolist()):
                if self.videos[row] not in here:
                    here[self.videos[row]] = os.path.exists(self.videos[row])
                if here[self.videos[row]] and (moments or self.videos[row] not in seen):
                    seen.add(self.videos[row])
                    hits.append(Hit(self.videos[row], self.windows[row], 1 - distance, self._whole(row)))
            if len(hits) >= top or wanted >= count:
                if gone := sum(not there for there in here.values()):
                    moved = not os.path.exists(self.place)
                    told = f"{shown(self.place)} is not there any more; `iv index` takes it in where it is now"
                    told = (
                        told if moved else f"{gone} videos that would be among them are gone; `iv index` forgets them"
                    )
                    notes = [*notes, told]
                return hits[:top], notes, time.perf_counter() - began
            wanted *= 4

    def _whole(self, row: int) -> bool:
        others = (other for other in (row - 1, row + 1) if 0 <= other < len(self.videos))
        return all(self.videos[other] != self.videos[row] for other in others)


def _rows(file: Path, base: str):
    with open(file, encoding="utf-8", errors="surrogateescape", newline="") as text:
        for row in csv.DictReader(text):
            window = Window(int(row["first"]), int(row["stop"]), float(row["start"] or 0), float(row["end"] or 0))
            yield os.path.normpath(os.path.join(base, row["video"])), window
