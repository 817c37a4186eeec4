"""The folder a run writes to, and what a notebook does with it.

    outputs/<notebook>/<label>-<hash of the parameters>/
        params.yaml  env.json  notebook.ipynb  log.txt  train.jsonl  figures/  checkpoints/  metrics.json

`metrics.json` is written last and atomically: it is the only mark that a run is done. The same parameters always lead
to the same folder, whatever its label, and whether the notebook runs in JupyterLab, under papermill or by `iv run`.
A run that is done is never begun anew unless that is asked for (`iv run --force`, `fresh=True`) or what it was made from has changed;
its result is then kept in `previous/`. A notebook that is opened on it shows it: it computes and draws, and writes nothing there.
Of several ranks that run a notebook together rank 0 alone writes; on the others figures, JSON files and metrics go nowhere.
"""

import ast
import functools
import itertools
import json
import math
import numbers
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ivcore import files as atomic
from ivcore import paths
from ivcore.data import formats
from ivcore.errors import ParameterError, UserError
from ivcore.run import environment, launch, lock, notebook
from ivcore.run import presets as params

KEPT = (
    "notebook",
    "log.txt",
    "log-rank",
    "previous",
    ".lock",
)  # beginnings of names that outlive a fresh start
_COPY = ".metrics.json"  # of metrics.json: Snakemake deletes what a job makes before it runs the job again
RESERVED = ("notebook", "preset", "wall_seconds", "headline")  # what `finish` adds to the metrics


def locate(reference, values: dict, label: str = "custom") -> Path:
    """The folder of a run with these values: the one that has their hash, else a new name with this label."""
    path = notebook.find(reference)
    if path.stem.startswith("."):
        raise ParameterError(
            f"{path.name}: a notebook's name must not begin with a dot: its runs lie in a folder of that name"
        )
    digest = params.digest(path, values)
    parent = paths.outputs() / path.stem
    found = sorted(parent.glob(f"*-{digest}"), key=lambda folder: (not is_done(folder), folder.name))
    return found[0] if found else parent / f"{label}-{digest}"


def is_one(folder: Path) -> bool:
    return (folder / "params.yaml").is_file()


def is_done(folder: Path) -> bool:
    """Whether there is a result that reads."""
    return read_metrics(folder) is not None


def read_metrics(folder: Path) -> dict | None:
    """The content of metrics.json; None where there is none, or anything but a JSON object of finite numbers that names its
    notebook and preset, as `finish` writes it."""
    try:
        text = (folder / "metrics.json").read_text(encoding="utf-8")
        found = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (OSError, ValueError, RecursionError):
        return None
    named = isinstance(found, dict) and all(isinstance(found.get(key), str) for key in ("notebook", "preset"))
    return found if named else None


def _finite(text: str) -> float:
    """ValueError for NaN and infinity, also where it is written as a number: 1e999."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def read_error(folder: Path) -> dict:
    """The content of error.json, {} where there is none that reads."""
    try:
        found = json.loads((folder / "error.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def why(folder: Path) -> str:
    """What went wrong, on one line: kind, exception and the first line of the message; "" where nobody has said."""
    error = read_error(folder)
    parts = [str(error.get(name) or "").split("\n")[0] for name in ("kind", "exception", "message")]
    return ": ".join(filter(None, parts))


def state(folder: Path) -> str:
    """done, running, failed, part (killed without a word: the next start resumes it) or "" for never started."""
    if is_done(folder):
        return "done"
    if not is_one(folder):
        return ""
    if lock.is_held(folder):
        return "running"
    return "failed" if (folder / "error.json").is_file() else "part"


def label_of(folder: Path) -> str:
    return re.sub(r"-[0-9a-f]{8}$", "", folder.name)


def brief(value) -> str:
    """A parameter as people write it: "10/tiny" or "10/tiny:seed=1" for a run's folder, of another path the last two parts."""
    if not isinstance(value, str) or "/" not in value:
        return str(value)
    path = Path(value)
    if re.search(r"-[0-9a-f]{8}$", path.name):
        return f"{path.parent.name.split('_')[0]}/{label_of(path).rstrip('+')}{_what_changed(path)}"
    return "/".join(path.parts[-2:])


def _what_changed(folder: Path) -> str:
    """ ":seed=1,lr=0.1", in what a run with a "+" in its folder's name differs from its preset; "+" where that is not known."""
    label, folder = label_of(folder), paths.resolve(folder)
    if not label.endswith("+"):
        return ""
    try:
        values, preset = read_params(folder), params.base(folder.parent.name, label.rstrip("+"))
    except UserError:
        return "+"
    changed = [f"{n}={brief(v)}" for n, v in params.of_result(values).items() if preset.get(n, v) != v]
    return ":" + ",".join(changed) if changed else "+"


def write_json(path: Path, value) -> None:
    """Atomically: a reader sees the old file or the new one. Refuses NaN and infinity, which are not JSON."""
    atomic.write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_params(folder: Path, values: dict) -> None:
    import yaml

    kept = {name: value for name, value in values.items() if name not in params.OWNED_BY_RUNNER}
    atomic.write_text(folder / "params.yaml", yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


def read_params(folder: Path) -> dict:
    """UserError naming the file where it does not read."""
    import yaml

    file = folder / "params.yaml"
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{paths.short(file)} does not read")
    return found


def set_aside(folder: Path) -> None:
    """Moves what an earlier attempt left to `previous/`, so that the run begins afresh.

    A result is never thrown away: where `previous/` holds one, the next is `previous-2/`. Of attempts without a result the last is kept.
    """
    import shutil

    moved = [path for path in folder.iterdir() if not path.name.startswith(KEPT)]
    if not moved:
        return
    old = next(place for place in _places(folder) if not _is_taken(place))
    if old.exists():
        shutil.rmtree(old)
    if is_done(folder) or (folder / _COPY).exists():
        print(f"the earlier result is kept in {paths.short(old)}", flush=True)
    old.mkdir()
    for path in sorted(moved, key=lambda path: path.name != "metrics.json"):  # first it stops being done
        path.rename(old / path.name)
    if (old / _COPY).exists():
        os.replace(old / _COPY, old / "metrics.json")


def _places(folder: Path):
    yield folder / "previous"
    yield from (folder / f"previous-{number}" for number in itertools.count(2))


def _is_taken(place: Path) -> bool:
    """By a result, or by something that no run has made."""
    return place.is_symlink() or (
        place.exists() and (not place.is_dir() or (place / "metrics.json").exists())
    )


@dataclass
class Run:
    """One run of a notebook: its parameters, its folder, and the few things that every notebook does with them.

    One that is `shown` was done before: what is computed anew goes to a temporary folder.
    """

    notebook: str
    dir: Path
    params: dict
    label: str
    device: str = "cpu"
    headless: bool = False
    rank: int = 0
    shown: bool = False
    began: float = field(default_factory=time.monotonic)
    bad_rows: dict = field(default_factory=dict)

    @property
    def seed(self) -> int:
        return self.params.get("seed", 0)

    @functools.cached_property
    def out(self) -> Path:
        """Where this attempt writes: the run's folder, or one that goes with this process."""
        if not self.shown:
            return self.dir
        self._temporary = tempfile.TemporaryDirectory(prefix="iv-shown-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)

    @property
    def checkpoints(self) -> Path:
        folder = self.out / "checkpoints"
        folder.mkdir(exist_ok=True)
        return folder

    def upstream(self, name: str) -> Path | str | None:
        """The encoder that parameter `name` asks for, for `weights.load`: a path, a published name, None for scratch."""
        value = self.params[name]
        if value in (None, "", "scratch"):
            return None
        path = paths.resolve(value)
        return path if path.exists() else value

    def write_json(self, name: str, value) -> Path:
        path = self.out / (name if name.endswith(".json") else f"{name}.json")
        if self.rank == 0:
            write_json(path, value)
        return path

    def figure(self, fig, name: str) -> None:
        """Saves figures/<name>.png, shows it (at reading size, in full resolution) and closes the figure.

        Gives nothing back: as the last line of a cell it would be printed below the picture.
        """
        from ivcore.show import style

        if self.rank > 0:
            import matplotlib.pyplot as plt

            return plt.close(fig)
        style.show(style.save(fig, self.out / "figures" / f"{name}.png"))

    def list_bad_rows(self, errors: list) -> None:
        """Rows of lists that are left out: printed as a number, each listed in bad_rows.jsonl, and counted in metrics.json."""
        first, more = (
            errors[0],
            f"{len(errors)} rows left out, e.g. line {errors[0].line}: {errors[0].expected}",
        )
        print(f"{first.path}: {more}")
        self.bad_rows |= dict.fromkeys((error.path, error.line, error.expected) for error in errors)
        if self.rank == 0:
            listed = [dict(zip(("path", "line", "cause"), row)) for row in self.bad_rows]
            text = "".join(f"{json.dumps(row)}\n" for row in listed)
            (self.out / "bad_rows.jsonl").write_text(text, encoding="utf-8")

    def finish(self, metrics: dict, headline: Sequence[str] = ()) -> None:
        """Writes metrics.json, which marks the run as done: a flat dict of finite numbers, text and booleans.

        `headline` names the metrics that the notebook is about: they come first on the leaderboard and in the report.
        Adds the notebook, the preset's name and the wall seconds of this attempt. ValueError naming the metric that
        is not finite, not flat, or has a name that is taken. Ranks that trained together wait here for each other: a run is done
        when all of them are. Where the run is only shown, it says what has come out otherwise than in metrics.json, which stays.
        """
        row = {name: _plain(name, value) for name, value in metrics.items()}
        row |= {"bad_rows": len(self.bad_rows)} if self.bad_rows else {}
        if self.shown:
            return print(_compared(row, read_metrics(self.dir) or {}))
        _meet()
        seconds = round(time.monotonic() - self.began, 1)
        row |= {"notebook": self.notebook, "preset": self.label, "wall_seconds": seconds}
        if first := [name for name in headline if name in row]:
            row["headline"] = first
        if self.rank == 0:
            (self.dir / "error.json").unlink(missing_ok=True)
            write_json(self.dir / _COPY, row)
            write_json(self.dir / "metrics.json", row)
            lock.release(self.dir)
        print(f"done in {seconds:.0f} s: " + ", ".join(f"{k} {_short(row[k])}" for k in metrics))


def _compared(row: dict, stored: dict) -> str:
    """What a run that was shown gives, beside what it gave."""
    named = [*row, *(name for name in stored if name not in row and name not in RESERVED)]
    other = [
        f"{k} {_short(stored.get(k))} → {_short(row.get(k))}" for k in named if stored.get(k) != row.get(k)
    ]
    if not other:
        return "shown: every metric is as in metrics.json"
    return "shown: metrics.json stays as it is; computed now otherwise: " + ", ".join(other)


def _meet() -> None:
    if launch.world() > 1 and "torch" in sys.modules:
        from ivcore import distributed

        distributed.largest([0])


def _plain(name: str, value):
    """A metric as JSON has it; numpy and torch scalars are unpacked."""
    if name in RESERVED:
        raise ValueError(f"metric {name!r}: the name is taken ({', '.join(RESERVED)} are added to every run)")
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, str | bool):
        return value
    if not isinstance(value, numbers.Real):
        raise ValueError(f"metric {name!r} is {type(value).__name__}: expected a number, text or a boolean")
    if not math.isfinite(value):
        raise ValueError(f"metric {name!r} is {value}: only finite numbers make a result")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def start(name: str, namespace: dict, fresh: bool = False) -> Run:
    """Begins the run of a notebook: `run = start("10_masked_video_modeling", globals())` in its setup cell.

    Takes the parameters from the namespace and checks them as `iv run` does, so that JupyterLab and plain papermill are
    held to the same; runs an encoder's notebook first where that run is not there yet; makes the run folder (the same
    one for the same parameters) and resumes what an earlier attempt left in it; seeds every generator; sets the look of figures;
    prints where it is and on what. A run that is done is shown: `train` reads what it left, and nothing in its folder changes.
    With `fresh` it is run anew, and what was there is kept in `previous/`. ParameterError, UserError: one line.
    """
    path = notebook.find(name)
    given = _values(path, namespace)
    values = params.pin(path, given)
    folder = _folder(path, values, namespace.get("run_dir"), fresh)
    if fresh or not is_done(folder):
        _run_upstream(path, given)
    device = _device(values)
    shown = _claim(folder, fresh, f"start({name!r}, globals(), fresh=True)")
    run = Run(path.stem, folder, values, label_of(folder), device, _headless(), launch.rank(), shown)
    _seed(run)
    _record(run)
    formats.leave_out_bad_rows(run.list_bad_rows if values.get("drop_bad_rows") else None)
    from ivcore.show import style

    style.apply()
    return run


def _headless() -> bool:
    return os.environ.get("IVCORE_HEADLESS", "0") not in ("", "0")


def _values(path: Path, namespace: dict) -> dict:
    known = params.read(_being_run(path))
    for given in _injected(namespace):
        if given not in known:
            raise ParameterError(params.unknown(given, known, path))
    missing = [name for name in known if name not in namespace]
    if missing:
        raise ParameterError(f"{missing[0]} is not set: run the parameters cell of {path.stem} first")
    given = {name: params.placed(each, namespace[name], typed=True) for name, each in known.items()}
    values = params.check(path, given, known)
    if Path.cwd() != paths.ROOT:  # JupyterLab, plain papermill: the cells below open what the parameters name
        namespace.update(
            {name: str(paths.resolve(place)) for name, place in params.places(known, values).items()}
        )
    return values


def _being_run(path: Path) -> Path:
    """The runner's copy of the notebook: the source may have been edited since."""
    copy = os.environ.get("IVCORE_NOTEBOOK")
    return Path(copy) if copy else path


def _injected(namespace: dict) -> list[str]:
    """Names that papermill's own cell assigns; it warns about unknown ones and goes on."""
    cells = [text for text in namespace.get("In", ()) if text.startswith("# Parameters\n")]
    nodes = [node for text in cells for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return [node.targets[0].id for node in nodes]


def _run_upstream(path: Path, values: dict) -> None:
    from ivcore.run import provenance, upstream

    for name, value in params.encoders(path, values).items():
        wanted = upstream.named_run(value)
        if not wanted:
            continue
        folder = paths.resolve(upstream.pin(value))
        if lock.is_held(folder):  # another process runs it, and says when it is through
            lock.acquire(folder, wait=True)
            lock.release(folder)
        if provenance.is_current(folder):
            continue
        if not is_done(folder):
            print(f"{wanted[0].stem} {value.split('/', 1)[1]} is not there yet: running it first", flush=True)
        # A process of its own: this kernel's event loop is busy running the cell.
        changed = [word for name, given in wanted[2].items() for word in ("-p", f"{name}={given}")]
        command = [sys.executable, "-m", "ivcore.run", wanted[0].stem, wanted[1], *changed, "--wait"]
        if subprocess.run(command, cwd=paths.ROOT).returncode:
            told = (
                f", see {paths.short(folder)}/error.json"
                if read_error(folder)
                else ": its lines above say why"
            )
            raise ParameterError(f"{name} = {value!r}: that run did not finish{told}")


def _folder(path: Path, values: dict, run_dir: str | None, fresh: bool) -> Path:
    """The run's folder, a chosen one only where it is free or holds this very run."""
    if _given_by_runner():
        return _given_by_runner()
    if not run_dir:
        return locate(path, values, _matching_preset(path, values))
    folder = paths.resolve(run_dir)
    refused = f"run_dir = {run_dir!r}"
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{refused}: it is no folder")
    if folder.is_dir() and any(each.name != ".lock" for each in folder.iterdir()):
        if not _holds_run_of(folder, path):
            raise ParameterError(
                f"{refused}: the folder holds files of something else; choose an empty or a new one"
            )
        if not fresh and params.digest(path, params.check(path, read_params(folder))) != params.digest(
            path, values
        ):
            raise ParameterError(f"{refused}: the folder holds a run with other parameters; choose another, or fresh=True to keep that run in previous/")  # fmt: skip
    return folder


def _given_by_runner() -> Path | None:
    """The folder that the runner has chosen and made ready."""
    given = os.environ.get("IVCORE_RUN_DIR")
    return Path(given) if given else None


def _holds_run_of(folder: Path, path: Path) -> bool:
    """Whether a run of this notebook has made the folder: others have files called params.yaml too."""
    try:
        return (folder / ".lock").exists() and set(read_params(folder)) <= set(params.read(path))
    except UserError:
        return False


def _matching_preset(path: Path, values: dict) -> str:
    """The preset whose values these are, so that Lab and papermill share their folders with `iv run`."""
    digest = params.digest(path, values)
    for preset in params.presets(path):
        try:
            if params.digest(path, params.resolve(path, preset)) == digest:
                return preset
        except ParameterError:  # a sweep, or a preset whose files are not on this machine
            continue
    return "custom"


def _claim(folder: Path, fresh: bool, again: str) -> bool:
    """Makes the folder ready for this attempt, which the runner has done already for the kernels it starts. -> whether the run is only shown."""
    from ivcore.run import provenance

    if _given_by_runner():
        return False
    changed = provenance.changes(folder)
    if is_done(folder) and not fresh:
        if changed:
            raise UserError(
                f"{paths.short(folder)} is done, but {'; '.join(changed)} since: {again} runs it anew and keeps that result"
            )
        print(
            f"this run is done ({_when(folder)}): it is shown from its checkpoint, and stays as it is. To run it again: {again}"
        )
        return True
    if changed and not fresh:
        print(f"{'; '.join(changed)} since this run was begun: beginning afresh", flush=True)
    prepare(folder, fresh or bool(changed))
    return False


def _when(folder: Path) -> str:
    """ "28 Nov 2026 08:51, 6.9 min" """
    ended = datetime.fromtimestamp((folder / "metrics.json").stat().st_mtime)
    seconds = (read_metrics(folder) or {}).get("wall_seconds")
    took = f", {seconds / 60:.1f} min" if isinstance(seconds, int | float) else ""
    return f"{ended:%-d %b %Y %H:%M}{took}"


def prepare(folder: Path, fresh: bool = False, wait: bool = False) -> None:
    """Locks the folder for this process. With `fresh` what is in it is set aside; else it is resumed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock.acquire(folder, wait)
    if fresh:
        set_aside(folder)
    if is_done(folder):
        raise UserError(
            f"{paths.short(folder)} has been finished by another process: run the setup cell again"
        )
    for old in (
        "metrics.json",
        "error.json",
        "error-rank*.json",
        "notebook-rank*.ipynb",
    ):  # of an attempt that failed
        for path in folder.glob(old):
            path.unlink(missing_ok=True)
    for path in folder.glob("log*.txt"):
        if path.is_symlink():  # what it leads to is not ours to write
            path.unlink()


def _device(values: dict) -> str:
    return environment.pick_device(values["device"]) if "device" in values else "cpu"


def _seed(run: Run) -> None:
    if "torch" in sys.modules or "device" in run.params:  # a notebook that computes has a device
        from ivcore import rng

        return rng.seed_all(run.seed)
    import numpy as np

    random.seed(run.seed)
    np.random.seed(run.seed % 2**32)


def _record(run: Run) -> None:
    from ivcore.run import provenance

    if run.rank == 0 and not run.shown:
        write_params(run.dir, run.params)
        provenance.record(run.dir, run.notebook, run.params)
    command = os.environ.get("IVCORE_COMMAND") or shlex.join(sys.argv)
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    facts = environment.describe(run.device, command, now) | {"ranks": launch.world()}
    run.write_json("env", facts)
    print(f"{run.notebook} · {run.label} · {paths.short(run.dir)}")
    shown = [
        "python " + facts["python"],
        *(f"{k} {facts['versions'][k]}" for k in ("torch", "timm", "numpy")),
    ]
    print(" · ".join([facts["device"], f"commit {facts['commit'] or 'unknown'}", *shown]), flush=True)
