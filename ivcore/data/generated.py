"""Shared code of the generated datasets: checks of their fields, a mark of complete folders, and worker processes that make files.

The processes are started with `python -m` and are not a multiprocessing pool. A pool that spawns would run a user's script a second
time unless it has a `__main__` guard, and a pool that forks is unsafe with torch and video decoders. When the process that waits
for a worker ends, the worker can no longer report and ends, too.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ivcore import lock
from ivcore.errors import ParameterError
from ivcore.files import write_text
from ivcore.progress import Progress


def require_whole(config, minimums: Mapping[str, int]) -> None:
    """ParameterError if a field of `config` in `minimums` is not a whole number, or is below its minimum, or if `size` is odd."""
    for field, minimum in minimums.items():
        value = getattr(config, field)
        if int(value) != value or value < minimum or (field == "size" and value % 2):
            even = ", even" if field == "size" else ""
            raise ParameterError(f"{field}={value!r}: must be a whole number from {minimum}{even}")


def require_names(field: str, names: Sequence[str], allowed: Sequence[str]) -> None:
    """ParameterError if a name is not allowed or occurs twice."""
    for name in names:
        if name not in allowed:
            raise ParameterError(f"{field}: {name!r} must be one of {', '.join(allowed)}")
    if len(set(names)) < len(names):
        raise ParameterError(f"{field}: every name only once")


def build_once(folder: Path, version: str, fill: Callable[[], object]) -> Path:
    """Calls `fill()` under the folder's lock unless its file `complete` holds `version`; writes this mark last. Returns the folder."""
    mark = folder / "complete"

    def done() -> bool:
        return mark.exists() and mark.read_text() == version

    if not done():
        folder.mkdir(parents=True, exist_ok=True)
        with lock.held(folder, wait=True):
            if not done():
                fill()
                write_text(mark, version)
    return folder


def missing(folder: Path, files: list[str]) -> list[int]:
    """The indices in `files` of those that `folder` lacks. First removes half-written files of killed workers."""
    for leftover in folder.glob("*/.*.tmp"):
        leftover.unlink()
    return [number for number, file in enumerate(files) if not (folder / file).exists()]


def make_in_processes(
    module: str, config, folder: Path, todo: list[int], workers: int, total: int, unit: str, **environment
) -> None:
    """Makes the items `todo`, out of `total`, in `workers` processes with one thread each, and shows a progress bar.

    Each process calls `module.make(fields of config, folder, its share of todo)`, an iterator that makes one item after another.
    RuntimeError if a process fails.
    """
    reader, writer = os.pipe()
    workers = max(1, workers)
    processes = [_start(module, config, folder, todo[k::workers], writer, environment) for k in range(workers)]
    os.close(writer)
    done = total - len(todo)
    try:
        with os.fdopen(reader) as reports, Progress(total, "render", start=done, unit=unit) as bar:
            for _ in reports:
                done += 1
                bar.update(done)
        failed = [process for process in processes if process.wait() != 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if failed:
        raise RuntimeError(f"{folder}: rendering failed, see the messages of the worker above")


def _start(module: str, config, folder: Path, todo: list[int], writer: int, environment: dict) -> subprocess.Popen:
    job = {
        "module": module,
        "fields": dataclasses.asdict(config),
        "folder": str(folder),
        "todo": todo,
        "report": writer,
    }
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        text=True,
        pass_fds=[writer],
        env={**environment, **os.environ, **one_thread},
    )
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    return process


def _work() -> None:
    """Runs in a worker process: makes its share and reports each item with a line."""
    job = json.load(sys.stdin)
    make = importlib.import_module(job["module"]).make
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        for _ in make(job["fields"], Path(job["folder"]), job["todo"]):
            os.write(job["report"], b"\n")


if __name__ == "__main__":
    _work()
