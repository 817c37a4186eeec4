"""What the generated sets have in common: whole sizes, and files made by several processes.

The processes are plain `python -m` ones and not a multiprocessing pool: a pool of the spawn kind would run a user's script a second
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
from collections.abc import Iterator, Mapping
from pathlib import Path

from ivcore.errors import ParameterError
from ivcore.progress import Progress


def require_whole(config, least: Mapping[str, int]) -> None:
    """ParameterError where a field of `config` is not a whole number from `least` on, or `size` not an even one."""
    for field, low in least.items():
        value = getattr(config, field)
        if int(value) != value or value < low or (field == "size" and value % 2):
            even = ", even" if field == "size" else ""
            raise ParameterError(f"{field}={value!r}: must be a whole number from {low}{even}")


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


def missing(folder: Path, files: list[str]) -> list[int]:
    """The places in `files` of those that `folder` lacks, after removing what killed workers left half written."""
    for leftover in folder.glob("*/.*.tmp"):
        leftover.unlink()
    return [place for place, file in enumerate(files) if not (folder / file).exists()]


def side_by_side(module: str, config, folder: Path, todo: list[int], workers: int, total: int, unit: str, **environment: str) -> None:  # fmt: skip
    """Runs `python -m module` with each its share of `todo` and one thread, and waits; RuntimeError where one of them fails.

    A worker takes its share with `work`. total: of how many things those in `todo` are the ones that are missing.
    """
    reader, writer = os.pipe()
    started = [_start(module, config, folder, todo[k::workers], writer, environment) for k in range(workers)]
    os.close(writer)
    done = total - len(todo)
    try:
        with os.fdopen(reader) as reports, Progress(total, "render", start=done, unit=unit) as bar:
            for _ in reports:
                done += 1
                bar.update(done)
        failed = [process for process in started if process.wait() != 0]
    finally:
        for process in started:
            process.kill()
            process.wait()
    if failed:
        raise RuntimeError(f"{folder}: rendering failed, see the messages of the worker above")


def _start(module: str, config, folder: Path, todo: list[int], writer: int, environment: dict) -> subprocess.Popen:  # fmt: skip
    job = {"config": dataclasses.asdict(config), "folder": str(folder), "todo": todo, "report": writer}
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        text=True,
        pass_fds=[writer],
        env={**environment, **os.environ, **single},
    )
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    return process


def work(make) -> None:
    """In a worker: make(config fields, folder, todo) is an iterator that makes one thing after another; each is reported."""
    job = json.load(sys.stdin)
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        for _ in make(job["config"], Path(job["folder"]), job["todo"]):
            os.write(job["report"], b"\n")
