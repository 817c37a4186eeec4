"""Plays and films the episodes of Meta-World in several processes, each with its share of every task, see `generated`."""

import os
from collections.abc import Iterator
from pathlib import Path

from ivcore.data import generated
from ivcore.data.metaworld import config as metaworld


def render(config: metaworld.MetaWorld, folder: Path, workers: int | None = None) -> None:
    """Makes every missing episode in `folder`, whose lock the caller holds."""
    wanted = metaworld.episodes(config)
    todo = generated.missing(folder, [episode.record for episode in wanted])
    if todo:
        metaworld.require_simulator()
        workers = max(1, min(workers or len(os.sched_getaffinity(0)), len(todo)))
        _run(config, folder, todo, workers, len(wanted))


def _run(config: metaworld.MetaWorld, folder: Path, todo: list[int], workers: int, total: int) -> None:
    draws = {"LP_NUM_THREADS": "0"}  # OSMesa too in one thread a process
    module = "ivcore.data.metaworld.workers"
    generated.side_by_side(module, config, folder, todo, workers, total, "episode", **draws)


def _make(fields: dict, folder: Path, todo: list[int]) -> Iterator[None]:
    metaworld.require_simulator()
    from ivcore.data.metaworld import episode as metaworld_episode

    config = metaworld.MetaWorld(**fields)
    wanted, film = metaworld.episodes(config), None
    for index in todo:
        film = metaworld_episode.make(config, wanted[index], folder, film)
        yield


if __name__ == "__main__":
    generated.work(_make)
