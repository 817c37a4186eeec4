"""What the generated datasets have in common: checks of their fields, marks that all is there, and files that several processes make.

A mark is a file in the set's folder: the version of what was written, and below it the length and the name of every file there is. So a
file that somebody has removed, or a full disk has cut off, is noticed without reading any.

The processes are started with `python -m` and are no multiprocessing pool. A pool that spawns would run a user's script a second
time unless it has a `__main__` guard, and a pool that forks is unsafe beside torch and video decoders. When the process that waits
for a worker ends, the worker can no longer report and ends too.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ivcore.errors import ParameterError
from ivcore.files import write_text
from ivcore.progress import Progress

MARK = "complete"


def require_whole(config, minimums: Mapping[str, int]) -> None:
    """ParameterError if one of these fields of `config` is no whole number from its minimum on, or if `size` is odd."""
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


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def write_mark(folder: Path, version: str, mark: str = MARK) -> None:
    """Says that all is there, after everything else."""
    every = ((Path(parent) / name) for parent, _, names in os.walk(folder) for name in names)
    files = sorted(file for file in every if not file.name.startswith(".") and not file.name.endswith(MARK))
    rows = [f"{file.stat().st_size} {file.relative_to(folder)}" for file in files]
    write_text(folder / mark, "\n".join([version, *rows]) + "\n")


def is_marked(folder: Path, version: str, mark: str = MARK) -> bool:
    """Whether the mark is there, of this version, with all files that it lists as long as they were."""
    there, files = _read_mark(folder / mark)
    return there == version and bool(files) and not _damaged(folder, files)


def is_there(folder: Path) -> bool:
    """Whether all files of a set are there, of whatever version."""
    there, files = _read_mark(folder / MARK)
    return there is not None and not _damaged(folder, files)


def remove_damaged(folder: Path, mark: str = MARK) -> None:
    """Removes what is not as long as the mark says, so that it is made again; nothing outside the folder, whatever the mark says."""
    for file in _damaged(folder, _read_mark(folder / mark)[1]):
        place = Path(os.path.normpath(folder / file))
        if place.is_relative_to(os.path.normpath(folder)):
            place.unlink(missing_ok=True)


def _read_mark(mark: Path) -> tuple[str | None, dict[str, str]]:
    """(version, None without a mark; file -> its length)"""
    try:
        version, *rows = mark.read_text(encoding="utf-8").split("\n")
    except (FileNotFoundError, UnicodeDecodeError):
        return None, {}
    return version, {file: size for size, _, file in (row.partition(" ") for row in rows) if file}


def _damaged(folder: Path, files: Mapping[str, str]) -> list[str]:
    return [file for file, size in files.items() if str(_size(folder / file)) != size]


def _size(file: Path) -> int:
    """0 where there is none."""
    try:
        return os.stat(file).st_size
    except OSError:
        return 0


def missing(folder: Path, files: list[str]) -> list[int]:
    """The numbers in `files` of those that `folder` lacks or that are empty there. Removes the half-written files of killed workers first."""
    for leftover in folder.glob("*/.*.tmp"):
        leftover.unlink()
    return [number for number, file in enumerate(files) if not _size(folder / file)]


def make_in_processes(
    module: str, config, folder: Path, todo: list[int], workers: int, total: int, unit: str, **environment
) -> None:
    """Makes the things `todo`, out of `total`, in `workers` processes of one thread each, and shows the progress.

    Each process calls `module.make(fields of config, folder, its share of todo)`, an iterator that makes one thing after another.
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
    """What a worker process does: makes its share and reports each thing with a line."""
    job = json.load(sys.stdin)
    make = importlib.import_module(job["module"]).make
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        for _ in make(job["fields"], Path(job["folder"]), job["todo"]):
            os.write(job["report"], b"\n")


if __name__ == "__main__":
    _work()
