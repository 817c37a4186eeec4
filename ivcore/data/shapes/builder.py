"""Makes the dataset of moving shapes: renders the missing videos in several processes, then writes the missing annotations."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ivcore import lock
from ivcore.cores import cores
from ivcore.data import generated
from ivcore.data.shapes import annotations, plan, scenes
from ivcore.data.shapes.config import Shapes
from ivcore.video.writer import write_video


def build(config: Shapes | None = None, *, workers: int | None = None) -> Path:
    """Makes the missing parts of the dataset and returns its folder.

    `workers` processes make it (default: one for each core). They can be killed at any time: a file appears whole or not at all,
    the next call makes the missing files, and a part's mark `<part>.complete` is written last. If several processes ask for the
    same folder at once, one makes it and the others wait.
    """
    config = config or Shapes()
    folder = config.folder
    if _missing_parts(folder, config):
        folder.mkdir(parents=True, exist_ok=True)
        with lock.held(folder, wait=True):
            config = dataclasses.replace(config, parts=_missing_parts(folder, config))
            _render(config, folder, workers)
            for part in config.parts:
                annotations.write(part, config, folder)
                (folder / f"{part}.complete").write_text(annotations.ANNOTATOR_VERSION)
    return folder


def _missing_parts(folder: Path, config: Shapes) -> tuple[str, ...]:
    """Parts without a mark, or with annotations of another version."""
    marks = {part: folder / f"{part}.complete" for part in config.parts}
    return tuple(
        part for part, mark in marks.items() if not mark.exists() or mark.read_text() != annotations.ANNOTATOR_VERSION
    )


def _render(config: Shapes, folder: Path, workers: int | None) -> None:
    videos = plan.videos(config)
    todo = generated.missing(folder, [video.file for video in videos])
    if todo:
        workers = min(workers or cores(), len(todo) // 8)
        generated.make_in_processes(__name__, config, folder, todo, workers, len(videos), "video")


def make(fields: dict, folder: Path, todo: list[int]) -> Iterator[None]:
    """Renders the videos with these numbers one by one, in a worker process, see `generated`."""
    config = Shapes(**fields)
    videos = plan.videos(config)
    for number in todo:
        if not (folder / videos[number].file).exists():
            write_video(folder / videos[number].file, film(config, videos[number]), config.fps)
        yield


def film(config: Shapes, video: plan.Video) -> np.ndarray:
    """The frames of a video, uint8 (T, size, size, 3)."""
    return np.concatenate([scenes.render(shot.scene(config), config.size) for shot in video.shots])
