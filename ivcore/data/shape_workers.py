"""Renders the embedded dataset's videos in several processes.

The workers are plain `python -m` processes and not a multiprocessing pool: a pool of the spawn kind would run a user's script a second
time unless it has a `__main__` guard, and one of the fork kind is unsafe beside torch and video decoders. A worker ends by
itself when the process that waits for it is gone, since it can no longer report.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ivcore.data import shapes
from ivcore.progress import Progress


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """One process at a time; the system frees the lock of a killed one."""
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder.name}: another process is making it, waiting", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def render(config: shapes.Shapes, folder: Path, workers: int | None = None) -> None:
    """Makes every missing video of the configuration's parts in `folder`, whose lock the caller holds."""
    for leftover in folder.glob("*/.*.tmp"):
        leftover.unlink()
    wanted = shapes.videos(config)
    todo = [index for index, video in enumerate(wanted) if not (folder / video.file).exists()]
    if todo:
        workers = max(1, min(workers or len(os.sched_getaffinity(0)), len(todo) // 8))
        _run(config, folder, todo, workers, len(wanted))


def _run(config: shapes.Shapes, folder: Path, todo: list[int], workers: int, total: int) -> None:
    reader, writer = os.pipe()
    started = [_start(config, folder, todo[k::workers], writer) for k in range(workers)]
    os.close(writer)
    try:
        with (
            os.fdopen(reader) as reports,
            Progress(total, "render", start=total - len(todo), unit="video") as bar,
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


def _start(config: shapes.Shapes, folder: Path, todo: list[int], writer: int) -> subprocess.Popen:
    job = json.dumps(
        {"config": dataclasses.asdict(config), "folder": str(folder), "todo": todo, "report": writer}
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "ivcore.data.shape_workers"],
        stdin=subprocess.PIPE,
        text=True,
        pass_fds=[writer],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    process.stdin.write(job)
    process.stdin.close()
    return process


def _work() -> None:
    job = json.load(sys.stdin)
    config, folder = shapes.Shapes(**job["config"]), Path(job["folder"])
    wanted = shapes.videos(config)
    for index in job["todo"]:
        shapes.render_file(config, wanted[index], folder)
        os.write(job["report"], b"\n")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _work()
