"""Runs notebooks: finds the runs of a preset and their folders, skips finished ones, and records failures.

`iv run` and `python -m ivcore.run` are the same. One process runs one notebook at a time. On several GPUs, of one node
or several, torchrun starts a process for each: `torchrun --nproc-per-node 8 -m ivcore.run 10 one_gpu`. All execute the
whole notebook. Rank 0 owns the folder; the others write log-rank1.txt, … there, and after a failure error-rank1.json
and notebook-rank1.ipynb. `peers` tells ranks of each other's failures.
"""

import os
import re
import shlex
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ivcore import distributed, files, lock, paths
from ivcore.run import failure as failures
from ivcore.run import folder as run_folder
from ivcore.run import launch, provenance
from ivcore.run.failure import STOPPED, Failure
from ivcore.run.peers import Peers, peers
from ivcore.run.spec import Reference, Spec, resolving_once
from ivcore.run.stand_in import stand_in, told
from ivcore.signals import Requests, stop_requests

_FOLLOWS = re.compile(
    r"gloo|nccl|connection (closed|reset)|pair closure|DistBackend|DistNetwork|DistStore", re.IGNORECASE
)
_IN_VAIN = re.compile(r"timed? ?out|timeout caused pair closure", re.IGNORECASE)  # both are messages of gloo


class RunFailed(Exception):
    """A run ended without metrics.json. failure: how it ended. folder: holds error.json. culprit: the rank that failed
    first. said: what is known of its failure."""

    def __init__(self, failure: Failure, folder: Path, culprit: int = 0, said: str = ""):
        super().__init__(failure.lines()[0])
        self.failure, self.folder, self.culprit, self.said = failure, folder, culprit, said

    def lines(self) -> list[str]:
        """Lines for the terminal; none for a rank that failed only because another did."""
        if self.culprit != distributed.rank():
            return [f"iv: rank {self.culprit}: {self.said}; see {self._files()}"] if self.said else []
        first, *others = self.failure.lines()
        lines = [f"iv: rank {distributed.rank()}: {first}" if distributed.rank() else f"iv: {first}", *others]
        return lines if self.failure.kind == "input" else [*lines, f"see {self._files()}"]

    def _files(self) -> str:
        """The existing files of the failed rank, as text; on a full disk some are missing."""
        mark = f"-rank{self.culprit}" if self.culprit else ""
        names = [f"error{mark}.json", f"log{mark}.txt", f"notebook{mark}.ipynb"]
        there = [name for name in names if (self.folder / name).exists()]
        return f"{paths.short(self.folder)}/{', '.join(there)}"


class StoppedWhenDone(Exception):
    """A stop signal came after the result was written to `folder`. This run is done; the ones after it are not."""

    def __init__(self, failure: Failure, folder: Path):
        super().__init__(failure.kind)
        self.failure, self.folder = failure, folder


@dataclass(frozen=True)
class Job:
    """One requested run. `values` are complete and checked; an encoder may still be a name such as "10/tiny"."""

    spec: Spec
    label: str
    values: dict

    @cached_property
    def digest(self) -> str:
        return self.spec.digest(self.values)

    @cached_property
    def folder(self) -> Path:
        return run_folder.locate(self.spec.stem, self.digest, self.label)

    @property
    def name(self) -> str:
        """ "30_action_recognition tiny" """
        return f"{self.spec.stem} {self.label}"


@resolving_once()
def jobs(reference, preset: str = "tiny", overrides: dict | None = None, box: bool = False) -> list[Job]:
    """The runs of a preset with overrides, in order: one, or all of a sweep. ParameterError for wrong values.

    box: models of the box replace missing runs of encoders, see `stand_in`.
    """
    spec, jobs = Spec.of(reference), []
    for values in spec.expand(preset, overrides):
        models = stand_in(spec, values) if box else {}
        if models and not distributed.rank():
            print(told(spec, values, models), flush=True)
        values = spec.check(values | models)
        jobs.append(Job(spec, spec.label(preset, values, overrides or models), values))
    return jobs


def named_job(reference: Reference) -> Job:
    """The run that an encoder's value names."""
    return Job(reference.spec, reference.label, reference.values)


def execute(job: Job, *, force=False, timeout: float | None = None, wait=False, quiet=False) -> Path:
    """Runs a job unless it is done, and returns its folder. Missing runs of encoders are made first.

    The notebook resumes an unfinished folder from its checkpoints. With `force`, or if inputs have changed (see
    provenance.changes), the run starts again, and earlier files are kept in previous/. timeout: seconds for this run.
    quiet: print nothing if the run is done. Ranks above 0 wait until rank 0 begins, and return if the run is done.

    Errors: RunFailed if the run does not finish; UserError if the folder is in use (`wait` waits instead);
    StoppedWhenDone if a stop signal came after the result.
    """
    _execute_upstream(job, timeout)
    folder = job.folder
    if distributed.rank():
        _follow(job, folder, timeout)
        return folder
    with launch.announcing() as announcement:
        if not force and provenance.is_current(folder):  # works on a read-only disk, too
            return _done_before(job, announcement, quiet)
        folder.mkdir(parents=True, exist_ok=True)
        with lock.held(folder, wait):
            if not force and provenance.is_current(folder):  # finished by the process that held the lock
                return _done_before(job, announcement, quiet)
            _attempt(job, folder, announcement, force, timeout)
    return folder


def _done_before(job: Job, announcement: launch.Announcement, quiet: bool) -> Path:
    announcement.done()
    if not quiet:
        print(f"{job.name} is done: {paths.short(job.folder)}")
    return job.folder


def _execute_upstream(job: Job, timeout: float | None) -> None:
    for reference in job.spec.references(job.values).values():
        first = named_job(reference)
        if run_folder.state(first.folder) not in ("done", "running") and not distributed.rank():
            print(f"{reference} is not there yet: running it first", flush=True)
        execute(first, timeout=timeout, wait=True, quiet=True)


def _attempt(job: Job, folder: Path, announcement: launch.Announcement, force: bool, timeout: float | None) -> None:
    with stop_requests() as received:
        began = time.monotonic()
        values = job.spec.pin(job.values)
        changed = provenance.changes(folder)
        if changed and not force:
            what = "was done" if run_folder.is_done(folder) else "was begun"
            print(f"{'; '.join(changed)} since {job.name} {what}: beginning afresh", flush=True)
        run_folder.prepare(folder, force or bool(changed))
        failure = _try(job, folder, values, announcement, timeout, received)
        if run_folder.is_done(folder):
            return _finished(failure, folder)
        failure = failure or Failure("unfinished", message="no metrics.json")
        _fail(failure, folder, time.monotonic() - began)


def _try(
    job: Job, folder: Path, values: dict, announcement: launch.Announcement, timeout: float | None, received: Requests
) -> Failure | None:
    try:
        run_folder.write_params(folder, values)
        _keep_earlier_notebook(folder)
        print(f"{job.name} → {paths.short(folder)}", flush=True)
        return _run_kernel(job, folder, values, announcement.begin(folder), timeout, received)
    except OSError as error:
        return failures.from_system(error, place=folder)


def _finished(failure: Failure | None, folder: Path) -> None:
    """Handles a failure after the result was written: prints it, or raises StoppedWhenDone for a stop signal."""
    if failure and failure.kind in STOPPED and not failure.exception:
        raise StoppedWhenDone(failure, folder)
    if failure:
        print(f"iv: the result was there already when this happened: {failure.lines()[0]}", file=sys.stderr)


def _run_kernel(
    job: Job, folder: Path, values: dict, group: str, timeout: float | None, received: Requests
) -> Failure | None:
    """Executes this process's copy of the notebook. Returns the failure, or None."""
    from ivcore.run.kernel import Execution

    copy = folder / f"notebook{launch.suffix()}.ipynb"
    shutil.copyfile(job.spec.path, copy)  # later edits do not affect this run
    given = values | ({"run_dir": str(folder)} if "run_dir" in values else {})
    name = f"log{launch.suffix()}.txt"
    with _log(folder / name) as log, _environment(folder, copy, group):
        log.write(f"\n=== {time.strftime('%Y-%m-%d %H:%M:%S')} {_command()}\n")
        execution = Execution(copy, given, log, silent=distributed.rank() > 0)
        failure = execution.run(received, timeout, peers() if distributed.world() > 1 else None)
    if execution.stacks:
        with suppress(OSError):
            files.write_text(folder / f"stacks{launch.suffix()}.txt", execution.stacks)
    return failure and replace(failure, memory=failures.less_memory(values), waits=execution.waits)


@contextmanager
def _log(path: Path):
    log = open(path, "a", encoding="utf-8", errors="replace")  # noqa: SIM115  closing it may fail: see below
    try:
        yield log
    finally:
        with suppress(OSError):  # a full disk; the run does not need the log
            log.close()


def _fail(failure: Failure, folder: Path, seconds: float) -> None:
    """Writes the failure and raises RunFailed. error.json describes the rank that failed first, as far as known;
    error-rank1.json a rank that failed because of it."""
    rank, own = distributed.rank(), failure.as_json(seconds)
    cause = _cause(failure, own) if distributed.world() > 1 else own | {"rank": 0}
    with suppress(OSError):  # on a full disk only the terminal shows the failure
        if rank:
            files.write_json(folder / f"error{launch.suffix()}.json", own | {"rank": rank, "first": cause["rank"]})
        if rank == 0 or (cause["rank"] == 0 and not (folder / "error.json").exists()):  # rank 0 may be dead
            files.write_json(folder / "error.json", cause if cause["rank"] else own if rank == 0 else cause)
    raise RunFailed(failure, folder, cause["rank"], _brief(cause))


def _cause(failure: Failure, own: dict) -> dict:
    """The first failure of all ranks."""
    told = failure.kind in STOPPED and not failure.exception
    text = f"{failure.exception} {failure.message}"
    follows = told or failure.kind == "peer" or failure.kind in STOPPED or bool(_FOLLOWS.search(text))
    mine = own | {"rank": distributed.rank()}
    if follows and _IN_VAIN.search(text) and not told:
        mine["kind"] = "hung rank"
    cause = peers().first_failure(mine, follows and mine["kind"] != "hung rank")
    return _hung(peers(), failure, cause) if cause["kind"] == "hung rank" else cause


def _hung(launched: Peers, failure: Failure, cause: dict) -> dict:
    """Finds the rank that the others waited for: the first without an answer, else the first that does not wait."""
    waits = failure.kind != "peer"  # this rank itself was waiting and got an error
    launched.put("stands", {"waits": waits or failure.waits, "place": failure.message, "cell": failure.cell})
    stands = launched.collect("stands")
    silent = [rank for rank in range(launched.world) if rank not in stands]
    busy = [rank for rank, where in stands.items() if not where["waits"]]
    if not silent and not busy:
        return cause
    rank = (silent or busy)[0]
    where = stands.get(rank, {"place": "", "cell": None})
    said = where["place"] or "its kernel does not answer"
    message = f"rank {cause['rank']} waited for it in vain for {distributed.patience():g} s; it is at {said}"
    return Failure("hung rank", message=message, cell=where["cell"]).as_json(0) | {"rank": rank}


def _brief(cause: dict) -> str:
    cell = cause.get("cell")
    place = f" in cell {cell['index']} ({cell['name'] or 'untitled'})" if cell else ""
    what = [
        f"{cause['kind']}{place}",
        *(cause[key].split("\n")[0] for key in ("exception", "message") if cause.get(key)),
    ]
    return ": ".join(what)


def _follow(job: Job, folder: Path, timeout: float | None) -> None:
    """Runs the notebook on a rank above 0. Its copy of the notebook is kept only if it fails."""
    group = launch.join(folder)
    if group == launch.DONE:
        return
    began = time.monotonic()
    if group == launch.REFUSED:  # rank 0 prints the reason
        raise RunFailed(Failure("peer"), folder)
    with stop_requests() as received:
        failure = _run_kernel(job, folder, job.spec.pin(job.values), group, timeout, received)
        if failure is None or run_folder.is_done(folder):
            (folder / f"notebook{launch.suffix()}.ipynb").unlink()
            return _finished(failure, folder)
        _fail(failure, folder, time.monotonic() - began)


def _keep_earlier_notebook(folder: Path) -> None:
    """Renames notebook.ipynb of an earlier attempt to notebook.1.ipynb, notebook.2.ipynb, … in order of time."""
    current = folder / "notebook.ipynb"
    if current.exists():
        taken = [int(path.name.split(".")[1]) for path in folder.glob("notebook.[0-9]*.ipynb")]
        current.rename(folder / f"notebook.{max(taken, default=0) + 1}.ipynb")


@contextmanager
def _environment(folder: Path, copy: Path, group: str):
    """Sets the kernel's environment variables inside the block, then restores them for later runs."""
    variables = {
        "IVCORE_HEADLESS": "1",
        "IVCORE_RUN_DIR": str(folder),
        "IVCORE_NOTEBOOK": str(copy),
        "IVCORE_GROUP": group,
        "IVCORE_COMMAND": _command(),
        "IVCORE_ROOT": str(paths.ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # avoids a warning about frozen modules in each kernel
    }
    if distributed.world() > 1:
        # Avoids a warning of every rank each time that a model uses all its weights.
        variables["TORCH_CPP_LOG_LEVEL"] = os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR")
    before = os.environ.copy()
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update({name: before[name] for name in variables if name in before})


def _command() -> str:
    program = Path(sys.argv[0]).name
    words = ["iv", "run"] if program == "__main__.py" else [program]
    if distributed.world() > 1:
        words = ["torchrun", "--nproc-per-node", os.environ.get("LOCAL_WORLD_SIZE", ""), "-m", "ivcore.run"]
    return shlex.join([*words, *sys.argv[1:]])
