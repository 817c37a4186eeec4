"""Real camera clips: windows in time and squares in space, cut from the shots (shots.csv) of the films in `films`. No simulator.

This is the only generated set with footage of a real camera (and one animated film, Big Buck Bunny, (c) Blender Foundation).
It is small: nine films, two and a half minutes. Windows and squares of a shot overlap, so clips of one shot resemble each other.
A shot is a scene and lies in one split. Held-out shots show other seconds, often of a film that training has seen.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ivcore.data import generated, rendered
from ivcore.data.annotations import SPLITS, Clip
from ivcore.data.camera.films import FILMS, INSTALL, installed
from ivcore.data.camera.shots import SHOTS, Shot
from ivcore.errors import ParameterError, UserError
from ivcore.video.reader import VideoReader

CLASSES = tuple(dict.fromkeys(shot.label for shot in SHOTS))
MOTION_CLASSES = ()  # appearance tells the classes apart
RENDERER_VERSION = "1"
_NO_FILM = f"no film of a camera is installed: {INSTALL}"
_STEP = 0.5  # seconds between the starts of neighbouring windows, at most
_OVERLAP = 0.5  # of neighbouring squares, at least
_SPEEDS = (1, 2)  # frames are taken in real time, or twice as densely: slow motion


@dataclass(frozen=True)
class Camera:
    """Numbers of clips, of `size` x `size` pixels and `frames` frames at `fps`. films: names of FILMS (default: all that are installed)."""

    train: int = 480
    val: int = 96
    test: int = 96
    size: int = 80
    frames: int = 16
    fps: int = 8
    seed: int = 0
    films: tuple[str, ...] | None = None

    def __post_init__(self):
        object.__setattr__(self, "films", installed() if self.films is None else tuple(self.films))
        generated.require_names("films", self.films, tuple(FILMS))
        generated.require_whole(self, rendered.MINIMUMS)


@dataclass(frozen=True)
class _Cut:
    """start: seconds. step: seconds between frames. side, left, top: the square and its corner in pixels of the film."""

    shot: Shot
    start: float
    step: float
    side: int
    left: int
    top: int


def require_simulator() -> None:
    """UserError that says what to install if no film is installed. This source needs films and no simulator."""
    if not installed():
        raise UserError(_NO_FILM)


def clips(config: Camera) -> list[Clip]:
    """Takes clips from the shots in turn; within a shot their order is random. UserError without films, ParameterError if they hold too few clips."""
    return [clip for clip, _ in _chosen(config)]


def film(config: Camera, todo: Sequence[Clip]) -> Iterator[np.ndarray]:
    """Yields uint8 (frames, size, size, 3) for each clip. UserError if its film is not installed, VideoError if it is unreadable."""
    cuts = {clip.name: cut for clip, cut in _chosen(config)}
    for clip in todo:
        yield _read(config, cuts[clip.name])


def _read(config: Camera, cut: _Cut) -> np.ndarray:
    scale = config.size / cut.side
    film = FILMS[cut.shot.film]
    path = film.find()
    if path is None:
        raise UserError(f"{film.file} is not installed: {INSTALL}")
    with VideoReader(path, size=(round(film.height * scale), round(film.width * scale))) as video:
        shown = cut.start + cut.step * np.arange(config.frames)
        frames = video.read(np.searchsorted(video.times, shown + 1e-3, side="right") - 1)
    top, left = (min(round(at * scale), end - config.size) for at, end in zip((cut.top, cut.left), frames.shape[1:3]))
    return frames[:, top : top + config.size, left : left + config.size]


def _chosen(config: Camera) -> list[tuple[Clip, _Cut]]:
    if not config.films:
        raise UserError(_NO_FILM)
    return [pair for split in SPLITS for pair in _of(config, split)]


def _of(config: Camera, split: str) -> list[tuple[Clip, _Cut]]:
    wanted = getattr(config, split)
    decks = {shot: _cuts(config, shot) for shot in SHOTS if shot.split == split and shot.film in config.films}
    there = sum(len(deck) for deck in decks.values())
    if wanted > there:
        raise ParameterError(f"{split}={wanted}: must be at most {there}, which is what the installed films hold")
    rounds = range(max((len(deck) for deck in decks.values()), default=0))
    dealt = [(shot, turn, deck[turn]) for turn in rounds for shot, deck in decks.items() if turn < len(deck)]
    return [
        (Clip(f"{shot.name}-{turn:03d}", split, shot.label, shot.captions, shot.name), cut)
        for shot, turn, cut in dealt[:wanted]
    ]


def _cuts(config: Camera, shot: Shot) -> list[_Cut]:
    """All cuts of a shot, in the random order in which clips take them."""
    cuts = [
        _Cut(shot, start, step, side, round(left), round(top))
        for step in (1 / (config.fps * speed) for speed in _SPEEDS if config.fps * speed <= FILMS[shot.film].fps)
        for start in _spread(shot.start, shot.stop, (config.frames - 1) * step, _STEP)
        for side, left, top in _squares(shot, config.size)
    ]
    rng = np.random.default_rng([config.seed, SHOTS.index(shot)])
    return [cuts[number] for number in rng.permutation(len(cuts))]


def _squares(shot: Shot, size: int) -> Iterator[tuple[int, float, float]]:
    """(side, left, top) of overlapping squares that cover the shot's box. Only squares of the first zoom may be smaller than `size`."""
    height, width = FILMS[shot.film].height, FILMS[shot.film].width
    left, right, top, bottom = (
        f * n for f, n in zip((shot.box[0], shot.box[2], shot.box[1], shot.box[3]), (width, width, height, height))
    )
    whole = min(right - left, bottom - top)
    for zoom in shot.zooms:
        side = int(whole / zoom)
        if zoom == shot.zooms[0] or side >= size:
            for x in _spread(left, right, side, side * _OVERLAP):
                for y in _spread(top, bottom, side, side * _OVERLAP):
                    yield side, x, y


def _spread(start: float, stop: float, length: float, step: float) -> list[float]:
    """Starts of pieces of this length between `start` and `stop`, evenly and at most `step` apart; [] if not even one fits."""
    room = stop - start - length
    if room < -1e-9:
        return []
    return [float(x) for x in np.linspace(start, start + max(room, 0), 1 + math.ceil(max(room, 0) / step - 1e-9))]
