"""Search in an index that `iv index` has made: which moments of one's own videos are nearest to a sentence.

    index = VideoIndex.open(find("my_videos"))
    for hit in index.search("a dog chases a ball", top=5):
        print(hit.score, hit.video, hit.window.start, hit.window.end)

The index is a folder of `ivcore.run.features` whose model reads text. Rows are compared one by one, by usearch: this is exact, takes less than a
millisecond for a thousand rows, reads features.npy from the disk as it lies there, so that nothing is kept twice, and needs no server. Libraries
that keep vectors in a file of their own (FAISS, LanceDB) are ten and forty times as large, and FAISS brings an OpenMP that clashes with that of
torch on macOS.
"""

from __future__ import annotations

import csv
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from usearch.index import MetricKind, search

from ivcore import paths
from ivcore.data.video_answers import VideoModel
from ivcore.data.windows import Window
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import UserError, shown
from ivcore.run import environment, finished_model
from ivcore.run.features import read_settings


@dataclass(frozen=True)
class Hit:
    """score: cosine of the sentence and the window. whole: the window is the whole video."""

    video: str
    window: Window
    score: float
    whole: bool


def find(place: str | None) -> Path:
    """The folder of an index: of these videos, this folder itself, or the newest one. UserError where there is none."""
    folders = [folder for folder in (paths.outputs() / "index").glob("*") if (folder / "settings.json").is_file()]
    if place is not None:
        if (Path(place) / "settings.json").is_file():
            return Path(place)
        folders = [folder for folder in folders if read_settings(folder).get("place") == os.path.abspath(place)]
    if not folders:
        what = "videos" if place is None else place
        raise UserError(f"{shown(what)}: is not indexed yet, `iv index {what}` does it")
    return max(folders, key=lambda folder: (folder / "done.jsonl").stat().st_mtime if (folder / "done.jsonl").exists() else 0)  # fmt: skip


@dataclass(frozen=True)
class VideoIndex:
    """vectors (N, E); row i is of windows[i] of videos[i]."""

    folder: Path
    place: str
    vectors: np.ndarray
    videos: list[str]
    windows: list[Window]
    model: VideoModel
    tokenizer: Tokenizer

    @classmethod
    def open(cls, folder: Path, device: str = "auto") -> VideoIndex:
        """UserError where the folder is no index, is not finished, or its model is another one now."""
        settings = read_settings(folder)
        if not {"place", "source", "weights", "model"} <= settings.keys():
            raise UserError(f"{folder}: holds features, no index; `iv index` makes one")
        again = f"`iv index {paths.short(settings['place'])}`"
        name = settings["model"]
        model = VideoModel.load(finished_model.find(settings["source"]), environment.pick_device(device), name)
        if model.digest != settings["weights"]:
            raise UserError(f"{folder}: was made with another {name} than there is now; {again} --out FOLDER makes a new one")  # fmt: skip
        try:
            vectors = np.load(folder / "features.npy", mmap_mode="r")
            base = settings["place"] if os.path.isdir(settings["place"]) else os.path.dirname(settings["place"])
            rows = list(_rows(folder / "index.csv", base))
        except (OSError, ValueError, KeyError):
            vectors, rows = None, []
        if vectors is None or len(vectors) != len(rows):
            raise UserError(f"{folder}: the index is not finished; {again} goes on")
        videos, windows = [video for video, _ in rows], [window for _, window in rows]
        index = cls(folder, settings["place"], vectors, videos, windows, model, model.tokenizer("sentences"))
        index.search("a video")  # what is done once is done now: the first answer comes as fast as others
        return index

    def search(self, sentence: str, top: int = 5, moments: bool = False) -> tuple[list[Hit], list[str], float]:
        """(the `top` nearest videos, each by its nearest window, notes on the sentence, seconds it took).

        moments: the nearest windows instead, several of a video where they are. UserError for an empty sentence.
        """
        if not sentence.strip():
            raise UserError("the sentence to search for is empty")
        began, count = time.perf_counter(), len(self.vectors)
        query, notes = self.model.embed_text(sentence, self.tokenizer)
        wanted = top if moments else 4 * top
        while True:
            found = search(self.vectors, query.numpy(), min(wanted, count), MetricKind.Cos, exact=True)
            hits, seen = [], set()
            for row, distance in zip(found.keys.tolist(), found.distances.tolist()):
                if moments or self.videos[row] not in seen:
                    seen.add(self.videos[row])
                    hits.append(Hit(self.videos[row], self.windows[row], 1 - distance, self._whole(row)))
            if len(hits) >= top or wanted >= count:
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
