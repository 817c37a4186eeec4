"""Plays and films the episodes of Meta-World in several processes, each with its share of every task.

Plain `python -m` processes as for the moving shapes, see `shape_workers`; a worker ends by itself when the process that waits for it is gone.
"""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from ivcore.data import metaworld
from ivcore.progress import Progress


def render(config: metaworld.MetaWorld, folder: Path, workers: int | None = None) -> None:
    """Makes every missing episode in `folder`, whose lock the caller holds."""
    for leftover in folder.glob("*/.*.tmp"):
        leftover.unlink()
    wanted = metaworld.episodes(config)
    todo = [index for index, episode in enumerate(wanted) if not (folder / episode.record).exists()]
    if todo:
        metaworld.require_simulator()
        workers = max(1, min(workers or len(os.sched_getaffinity(0)), len(todo)))
        _run(config, folder, todo, workers, len(wanted))


def _run(config: metaworld.MetaWorld, folder: Path, todo: list[int], workers: int, total: int) -> None:
    reader, writer = os.pipe()
    started = [_start(config, folder, todo[k::workers], writer) for k in range(workers)]
    os.close(writer)
    try:
        with (
            os.fdopen(reader) as reports,
            Progress(total, "render", start=total - len(todo), unit="episode") as bar,
        ):
            for done, _ in enumerate(reports, total - len(todo) + 1):
                bar.update(done)
        failed = [process for process in started if process.wait() != 0]
    finally:
        for process in started:
            process.kill()
            process.wait()
    if failed:
        raise RuntimeError(f"{folder}: rendering failed, see the messages of the worker above")


def _start(config: metaworld.MetaWorld, folder: Path, todo: list[int], writer: int) -> subprocess.Popen:
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "ivcore.data.metaworld_workers"],
        stdin=subprocess.PIPE,
        text=True,
        pass_fds=[writer],
        env={"LP_NUM_THREADS": "0", **os.environ, **single},  # OSMesa too draws in one thread a process
    )
    job = {"config": asdict(config), "folder": str(folder), "todo": todo, "report": writer}
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    return process


def _work() -> None:
    metaworld.require_simulator()
    from ivcore.data import metaworld_episode

    job = json.load(sys.stdin)
    config, folder = metaworld.MetaWorld(**job["config"]), Path(job["folder"])
    wanted, film = metaworld.episodes(config), None
    for index in job["todo"]:
        film = metaworld_episode.make(config, wanted[index], folder, film)
        os.write(job["report"], b"\n")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _work()
