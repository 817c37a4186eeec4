"""Running notebooks: what is asked for, in which folder it belongs, whether it is done, and what is left when it fails.

`iv run` and `python -m ivcore.run` are the same. One process runs one notebook at a time; a rank of a distributed run
will be a process that does the same with RANK set, the first of them owning the folder.
"""

import os
import shlex
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ivcore import lock, notebook, params, paths, run_folder, upstream
from ivcore.errors import ParameterError
from ivcore.failure import Failure


class RunFailed(Exception):
    """A run that ended without metrics.json; `failure` says how, `folder` holds error.json."""

    def __init__(self, failure: Failure, folder: Path):
        super().__init__(failure.lines()[0])
        self.failure, self.folder = failure, folder


@dataclass(frozen=True)
class Job:
    """One run that was asked for. `values` are complete and checked; an encoder may still read "10/tiny"."""

    notebook: Path
    label: str
    values: dict

    @property
    def folder(self) -> Path:
        return run_folder.locate(self.notebook, self.values, self.label)


def jobs(reference, preset: str = "tiny", overrides: dict | None = None) -> list[Job]:
    """The runs that a preset with overrides stands for, in order: one, or those of a sweep. ParameterError."""
    path = notebook.find(reference)
    found = params.expand(path, preset, overrides)
    as_preset = _digests(path, preset) if overrides else None
    return [Job(path, _label(path, preset, values, as_preset), values) for values in found]


def _digests(path: Path, preset: str) -> set[str]:
    try:
        return {params.digest(path, values) for values in params.expand(path, preset)}
    except ParameterError:  # the preset alone does not do here: it wants one of the overrides
        return set()


def _label(path: Path, preset: str, values: dict, as_preset: set[str] | None) -> str:
    """The preset's name, with "+" when an override makes the run another one."""
    changed = as_preset is not None and params.digest(path, values) not in as_preset
    return Path(preset).stem + ("+" if changed else "")


def execute(job: Job, *, force: bool = False, timeout: float | None = None, wait: bool = False) -> Path:
    """Runs one job unless it is done, and returns its folder; an encoder that is not there yet is run first.

    An unfinished folder is resumed (by the notebook, from its checkpoints); `force` begins afresh. `timeout` is in
    seconds for this run. RunFailed when it does not finish, UserError when the folder is in use (`wait` waits instead).
    """
    _execute_upstream(job, timeout)
    folder = job.folder
    if not run_folder.is_done(folder) or force:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(folder, wait)
    try:
        if run_folder.is_done(folder) and not force:  # perhaps by the process that was waited for
            print(f"{job.notebook.stem} {job.label} is done: {paths.short(folder)}")
            return folder
        _attempt(job, folder, force, timeout)
    finally:
        lock.release(folder)
    return folder


def _execute_upstream(job: Job, timeout: float | None) -> None:
    for value in params.encoders(job.notebook, job.values).values():
        wanted = upstream.named_run(value)
        if wanted and not run_folder.is_done(paths.resolve(upstream.pin(value))):
            print(f"{wanted[0].stem} {wanted[1]} is not there yet: running it first", flush=True)
            execute(jobs(*wanted)[0], timeout=timeout, wait=True)


def _attempt(job: Job, folder: Path, force: bool, timeout: float | None) -> None:
    from ivcore.kernel import Execution

    values = params.pin(job.notebook, job.values)
    run_folder.prepare(folder, force or run_folder.is_outdated(folder, job.notebook, values))
    run_folder.write_params(folder, values)
    _keep_earlier_notebook(folder)
    copy = folder / "notebook.ipynb"
    shutil.copyfile(job.notebook, copy)  # what is edited from now on belongs to the next run
    print(f"{job.notebook.stem} {job.label} → {paths.short(folder)}", flush=True)
    began = time.monotonic()
    given = values | ({"run_dir": str(folder)} if "run_dir" in values else {})
    with open(folder / "log.txt", "a", encoding="utf-8") as log, _environment(folder):
        log.write(f"\n=== {time.strftime('%Y-%m-%d %H:%M:%S')} {_command()}\n")
        failure = Execution(copy, given, log).run(timeout)
    if failure is None and not run_folder.is_done(folder):
        failure = Failure("unfinished", message="no metrics.json")
    if failure:
        _fail(failure, folder, time.monotonic() - began)


def _fail(failure: Failure, folder: Path, seconds: float) -> None:
    (folder / "metrics.json").unlink(missing_ok=True)
    run_folder.write_json(folder / "error.json", failure.as_json(seconds))
    raise RunFailed(failure, folder)


def _keep_earlier_notebook(folder: Path) -> None:
    """notebook.ipynb of an earlier attempt becomes notebook.1.ipynb, notebook.2.ipynb, … in order of time."""
    current = folder / "notebook.ipynb"
    if current.exists():
        taken = [int(path.name.split(".")[1]) for path in folder.glob("notebook.[0-9]*.ipynb")]
        current.rename(folder / f"notebook.{max(taken, default=0) + 1}.ipynb")


@contextmanager
def _environment(folder: Path):
    """What the kernel inherits; put back afterwards, since other runs may follow in this process."""
    told = {
        "IVCORE_HEADLESS": "1",
        "IVCORE_RUN_DIR": str(folder),
        "IVCORE_COMMAND": _command(),
        "IVCORE_ROOT": str(paths.ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # or each kernel prints a warning about frozen modules
    }
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _command() -> str:
    program = Path(sys.argv[0]).name
    return shlex.join(["iv", "run"] if program == "run.py" else [program]) + " " + shlex.join(sys.argv[1:])


if __name__ == "__main__":
    from ivcore.cli import main

    sys.exit(main(["run", *sys.argv[1:]]))
