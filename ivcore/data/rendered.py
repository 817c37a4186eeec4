"""Makes the videos and lists of a source of rendered clips, in its folder in the cache.

A source is a module or package of `ivcore.data` with

    RENDERER_VERSION      text; change it when pixels change
    CLASSES               names of the classes, lower-case words
    <Source>              config, named after the module: a frozen dataclass with train, val, test (numbers of clips), size (pixels, even), frames, fps, seed
    clips(config)         -> list[Clip], known without rendering: train first, then val, then test
    film(config, clips)   -> iterator of uint8 (frames, size, size, 3), one array a clip; it depends only on the clip and the config
    MOTION_CLASSES        optional: those of CLASSES that are movements; by default all
    require_simulator()   only if it needs one: UserError that says what to install, unless it is installed; imports nothing large

Its folder is <cache>/<source>-<hash of the config and of RENDERER_VERSION>, with videos/<name>.mp4 and the lists of `data.annotations`.
"""

import hashlib
import importlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ivcore import paths
from ivcore.cores import cores
from ivcore.data import annotations, generated
from ivcore.data.annotations import Clip
from ivcore.video.writer import write_video

MINIMUMS = {
    "train": 0,
    "val": 0,
    "test": 0,
    "size": 16,
    "frames": 2,
    "fps": 1,
    "seed": 0,
}  # for `generated.require_whole`


@dataclass(frozen=True)
class _Job:
    """The input of a worker process."""

    source: str
    fields: Any


def name_of(source: ModuleType) -> str:
    return source.__name__.rpartition(".")[2]


def configure(source: ModuleType, **fields):
    """The source's config, of the class with the source's name: `creatures.Creatures(**fields)`."""
    return getattr(source, name_of(source).capitalize())(**fields)


def folder_of(source: ModuleType, config) -> Path:
    """The folder of this config's set; it need not exist yet."""
    text = json.dumps(asdict(config), sort_keys=True) + source.RENDERER_VERSION
    return paths.cache() / f"{name_of(source)}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def build(source: ModuleType, config, *, workers: int | None = None) -> Path:
    """Makes what is missing of the set and returns its folder.

    `workers` processes make it (default: one for each core). They can be killed at any time: a file appears complete or not at all, the
    next call makes the missing files, and the mark `complete` is written last. If several processes ask for the same folder at once,
    one makes it and the others wait. UserError if the source needs a simulator that is not installed.
    """
    folder = folder_of(source, config)

    def fill() -> None:
        clips = source.clips(config)
        _render(source, config, folder, clips, workers)
        _write(source, folder, clips)

    return generated.build_once(folder, _version(source), fill)


def _version(source: ModuleType) -> str:
    """A digest of everything that the lists depend on, including the source's own files; if it changes, the lists are written again."""
    file = Path(source.__file__)
    files = sorted(file.parent.glob("*.*")) if file.name == "__init__.py" else [file]
    known = annotations.VERSION, tuple(source.CLASSES), _motion(source), [each.read_bytes() for each in files]
    return hashlib.sha256(repr(known).encode()).hexdigest()


def _motion(source: ModuleType) -> tuple[str, ...]:
    return tuple(getattr(source, "MOTION_CLASSES", source.CLASSES))


def _render(source: ModuleType, config, folder: Path, clips: Sequence[Clip], workers: int | None) -> None:
    todo = generated.missing(folder, [clip.file for clip in clips])
    if not todo:
        return
    if hasattr(source, "require_simulator"):
        source.require_simulator()
    job = _Job(source.__name__, config)
    workers = min(workers or cores(), len(todo) // 8)
    generated.make_in_processes(__name__, job, folder, todo, workers, len(clips), f"{name_of(source)} clip")


def make(job: dict, folder: Path, todo: list[int]) -> Iterator[None]:
    """Renders the clips with these numbers one by one, in a worker process, see `generated`."""
    source = importlib.import_module(job["source"])
    own = configure(source, **job["fields"])
    every = source.clips(own)
    chosen = [every[number] for number in todo]
    for clip, frames in zip(chosen, source.film(own, chosen), strict=True):
        write_video(folder / clip.file, frames, own.fps)
        yield


def _write(source: ModuleType, folder: Path, clips: Sequence[Clip]) -> None:
    annotations.write_labels(folder, clips, source.CLASSES)
    annotations.write_captions(folder, clips)
    annotations.write_groups(folder, [(clip.file, clip.scene) for clip in clips], folder)
    annotations.write_label_sets(folder, {name_of(source): (clips, source.CLASSES)}, _motion(source))
