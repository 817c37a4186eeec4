"""Makes the Meta-World dataset: plays and films the missing episodes in several processes, then writes the annotations."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ivcore import paths
from ivcore.cores import cores
from ivcore.data import generated
from ivcore.data.metaworld import annotations, episode
from ivcore.data.metaworld.config import Episode, MetaWorld, episodes
from ivcore.data.metaworld.play import require_simulator
from ivcore.errors import UserError
from ivcore.files import write_text


def build(config: MetaWorld | None = None, *, workers: int | None = None, folder=None) -> Path:
    """Makes what is missing of the dataset and returns its folder: `folder`, or by default one in the cache.

    `workers` processes make it (default: one for each core). They can be killed at any time: a file appears whole or not at all,
    and the next call makes the missing files. If several processes ask for the same folder at once, one makes it and the others
    wait. UserError if the simulator is not installed, or if `folder` holds a set with other settings.
    """
    config = config or MetaWorld()
    folder = paths.resolve(folder) if folder else config.folder

    def fill() -> None:
        _claim(folder, config)
        _share(folder, config)
        todo = generated.missing(folder, [e.record for e in episodes(config)])
        if todo:
            require_simulator()
            render(config, folder, todo, workers)
        annotations.write(config, folder)

    return generated.build_once(folder, f"{config.hash} {annotations.ANNOTATOR_VERSION}", fill)


def _claim(folder: Path, config: MetaWorld) -> None:
    """Writes config.json. UserError if the folder holds another set, complete or not."""
    owner = folder / "config.json"
    if owner.exists() and json.loads(owner.read_text()).get("hash") != config.hash:
        raise UserError(f"{paths.short(folder)}: holds a set with other settings; name another folder")
    write_text(owner, json.dumps({"hash": config.hash, "kin": config.kin, **asdict(config)}, indent=1) + "\n")


def _share(folder: Path, config: MetaWorld) -> None:
    """Hard-links the episodes that sets of the same kin, beside this one, already have."""
    for owner in folder.parent.glob("*/config.json"):
        if owner.parent != folder and json.loads(owner.read_text()).get("kin") == config.kin:
            for shared in episodes(config):
                if (owner.parent / shared.record).exists() and not (folder / shared.record).exists():
                    _link(owner.parent, folder, shared)


def _link(source: Path, folder: Path, linked: Episode) -> None:
    with contextlib.suppress(OSError):  # on a file system without links the episode is rendered again
        for file in (linked.video, linked.record):  # the record last: it marks the episode as complete
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).unlink(missing_ok=True)
            if (source / file).exists():
                os.link(source / file, folder / file)


def render(config: MetaWorld, folder: Path, todo: list[int], workers: int | None = None) -> None:
    """Makes the episodes with these numbers. Each process gets some of every task."""
    workers, total = min(workers or cores(), len(todo)), len(episodes(config))
    # LP_NUM_THREADS: the software renderer OSMesa also uses one thread a process.
    generated.make_in_processes(__name__, config, folder, todo, workers, total, "episode", LP_NUM_THREADS="0")


def make(fields: dict, folder: Path, todo: list[int]) -> Iterator[None]:
    """Makes the episodes with these numbers one by one, in a worker process, see `generated`."""
    require_simulator()
    config = MetaWorld(**fields)
    every, film = episodes(config), None
    for number in todo:
        film = episode.make(config, every[number], folder, film)
        yield
