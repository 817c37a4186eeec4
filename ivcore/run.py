"""Running notebooks: what is asked for, in which folder it belongs, whether it is done, and what is left when it fails.

`iv run` and `python -m ivcore.run` are the same. One process runs one notebook at a time. On several GPUs each has a process of its own,
started by torchrun: `torchrun --nproc-per-node 8 -m ivcore.run 10 one_gpu`. All execute the whole notebook, rank 0 owns the folder; the
others leave log-rank1.txt, … there, and where they fail error-rank1.json and notebook-rank1.ipynb.
"""

import json
import os
import re
import shlex
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ivcore import launch, lock, notebook, params, paths, run_folder, upstream
from ivcore.errors import ParameterError
from ivcore.failure import Failure

_FOLLOWS = re.compile(r"gloo|nccl|connection (closed|reset)|DistBackend|DistNetwork", re.IGNORECASE)
_WORD = 5  # seconds for the rank that failed first to say so


class RunFailed(Exception):
    """A run that ended without metrics.json; `failure` says how, `folder` holds error.json. `culprit`: the rank that failed first."""

    def __init__(self, failure: Failure, folder: Path, culprit: int = 0):
        super().__init__(failure.lines()[0])
        self.failure, self.folder, self.culprit = failure, folder, culprit

    def lines(self) -> list[str]:
        """What the terminal shows; nothing from a rank that only follows another into failure."""
        if self.culprit != launch.rank():
            return [] if launch.rank() else [f"iv: rank {self.culprit} failed, see {self._files()}"]
        first, *others = self.failure.lines()
        told = [f"iv: rank {launch.rank()}: {first}" if launch.rank() else f"iv: {first}", *others]
        return told if self.failure.kind == "input" else [*told, f"see {self._files()}"]

    def _files(self) -> str:
        mark = f"-rank{self.culprit}" if self.culprit else ""
        return f"{paths.short(self.folder)}/error{mark}.json, log{mark}.txt and notebook{mark}.ipynb"


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
    Ranks above 0 wait for rank 0 to begin, and do nothing where the run is done.
    """
    _execute_upstream(job, timeout)
    folder = job.folder
    if launch.rank():
        _follow(job, folder, force, timeout, wait)
        return folder
    if not run_folder.is_done(folder) or force:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(folder, wait)
    try:
        if run_folder.is_done(folder) and not force:  # perhaps by the process that was waited for
            print(f"{job.notebook.stem} {job.label} is done: {paths.short(folder)}")
            return folder
        _attempt(job, folder, force, timeout)
    finally:
        launch.retract(folder)
        lock.release(folder)
    return folder


def _execute_upstream(job: Job, timeout: float | None) -> None:
    for value in params.encoders(job.notebook, job.values).values():
        wanted = upstream.named_run(value)
        if wanted and not run_folder.is_done(paths.resolve(upstream.pin(value))):
            if not launch.rank():
                print(f"{wanted[0].stem} {wanted[1]} is not there yet: running it first", flush=True)
            execute(jobs(*wanted)[0], timeout=timeout, wait=True)


def _attempt(job: Job, folder: Path, force: bool, timeout: float | None) -> None:
    values = params.pin(job.notebook, job.values)
    run_folder.prepare(folder, force or run_folder.is_outdated(folder, job.notebook, values))
    run_folder.write_params(folder, values)
    _keep_earlier_notebook(folder)
    print(f"{job.notebook.stem} {job.label} → {paths.short(folder)}", flush=True)
    began = time.monotonic()
    group = launch.announce(folder) if launch.world() > 1 else ""
    failure = _run_kernel(job, folder, values, group, timeout)
    if failure is None and not run_folder.is_done(folder):
        failure = Failure("unfinished", message="no metrics.json")
    if failure:
        _fail(failure, folder, time.monotonic() - began)


def _run_kernel(job: Job, folder: Path, values: dict, group: str, timeout: float | None) -> Failure | None:
    """Executes this process's copy of the notebook."""
    from ivcore.kernel import Execution

    copy = folder / f"notebook{launch.suffix()}.ipynb"
    shutil.copyfile(job.notebook, copy)  # what is edited from now on belongs to the next run
    given = values | ({"run_dir": str(folder)} if "run_dir" in values else {})
    name = f"log{launch.suffix()}.txt"
    with open(folder / name, "a", encoding="utf-8") as log, _environment(folder, copy, group):
        log.write(f"\n=== {time.strftime('%Y-%m-%d %H:%M:%S')} {_command()}\n")
        return Execution(copy, given, log, silent=launch.rank() > 0).run(timeout)


def _fail(failure: Failure, folder: Path, seconds: float) -> None:
    """error.json tells of the rank that failed first: the others only lose their connection to it, or are told to stop."""
    (folder / "metrics.json").unlink(missing_ok=True)
    cause = _cause(failure, folder) if launch.world() > 1 else {}
    run_folder.write_json(folder / "error.json", cause or failure.as_json(seconds))
    raise RunFailed(failure, folder, cause.get("rank", 0))


def _follows(failure: Failure) -> bool:
    """Whether it looks like the consequence of what happened on another rank."""
    stopped = failure.kind in ("terminated", "interrupted")
    return stopped or bool(_FOLLOWS.search(f"{failure.exception} {failure.message}"))


def _cause(failure: Failure, folder: Path) -> dict:
    """What another rank said of its failure, where rank 0 failed only in consequence; else {}."""
    deadline = time.monotonic() + (0 if failure.kind != "failed" else _WORD)
    while _follows(failure):
        told = sorted(folder.glob("error-rank*.json"))
        if told or time.monotonic() > deadline:
            return json.loads(told[0].read_text(encoding="utf-8")) if told else {}
        time.sleep(0.1)
    return {}


def _follow(job: Job, folder: Path, force: bool, timeout: float | None, wait: bool) -> None:
    """The part of a rank above 0: the same notebook, of which it keeps a copy only when that fails."""
    group = launch.join(folder, lambda: run_folder.is_done(folder) and not force, wait)
    if group is None:
        return
    began = time.monotonic()
    failure = _run_kernel(job, folder, params.pin(job.notebook, job.values), group, timeout)
    if failure is None:
        (folder / f"notebook{launch.suffix()}.ipynb").unlink()
    elif _follows(failure):
        raise RunFailed(failure, folder)
    else:
        content = failure.as_json(time.monotonic() - began) | {"rank": launch.rank()}
        run_folder.write_json(folder / f"error{launch.suffix()}.json", content)
        raise RunFailed(failure, folder, launch.rank())


def _keep_earlier_notebook(folder: Path) -> None:
    """notebook.ipynb of an earlier attempt becomes notebook.1.ipynb, notebook.2.ipynb, … in order of time."""
    current = folder / "notebook.ipynb"
    if current.exists():
        taken = [int(path.name.split(".")[1]) for path in folder.glob("notebook.[0-9]*.ipynb")]
        current.rename(folder / f"notebook.{max(taken, default=0) + 1}.ipynb")


@contextmanager
def _environment(folder: Path, copy: Path, group: str):
    """What the kernel inherits; put back afterwards, since other runs may follow in this process."""
    told = {
        "IVCORE_HEADLESS": "1",
        "IVCORE_RUN_DIR": str(folder),
        "IVCORE_NOTEBOOK": str(copy),
        "IVCORE_GROUP": group,
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
    words = ["iv", "run"] if program == "run.py" else [program]
    if launch.world() > 1:
        words = ["torchrun", "--nproc-per-node", os.environ.get("LOCAL_WORLD_SIZE", ""), "-m", "ivcore.run"]
    return shlex.join([*words, *sys.argv[1:]])


if __name__ == "__main__":
    from ivcore.cli import main

    sys.exit(main(["run", *sys.argv[1:]]))
