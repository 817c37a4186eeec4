"""Renders the embedded dataset's videos in several processes, see `generated`."""

import os
from collections.abc import Iterator
from pathlib import Path

from ivcore.data import generated
from ivcore.data.shapes import config as shapes


def render(config: shapes.Shapes, folder: Path, workers: int | None = None) -> None:
    """Makes every missing video of the configuration's parts in `folder`, whose lock the caller holds."""
    wanted = shapes.videos(config)
    todo = generated.missing(folder, [video.file for video in wanted])
    if todo:
        workers = max(1, min(workers or len(os.sched_getaffinity(0)), len(todo) // 8))
        module = "ivcore.data.shapes.workers"
        generated.side_by_side(module, config, folder, todo, workers, len(wanted), "video")


def _make(fields: dict, folder: Path, todo: list[int]) -> Iterator[None]:
    config = shapes.Shapes(**fields)
    wanted = shapes.videos(config)
    for index in todo:
        yield shapes.render_file(config, wanted[index], folder)


if __name__ == "__main__":
    generated.work(_make)
