"""The folder a run writes to, and what a notebook does with it.

    outputs/<notebook>/<label>-<hash of the parameters>/
        params.yaml  env.json  notebook.ipynb  log.txt  train.jsonl  figures/  checkpoints/  metrics.json

`metrics.json` is written last and atomically: it is the only mark that a run is done. The same parameters always lead
to the same folder, whatever its label, and whether the notebook runs in JupyterLab, under papermill or by `iv run`.
Of several ranks that run a notebook together rank 0 alone writes; on the others figures, JSON files and metrics go nowhere.
"""

import ast
import json
import math
import numbers
import os
import random
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ivcore import environment, launch, lock, notebook, params, paths
from ivcore.errors import ParameterError

KEPT = (
    "notebook",
    "log.txt",
    "log-rank",
    "previous",
    ".lock",
)  # beginnings of names that outlive a fresh start
RESERVED = ("notebook", "preset", "wall_seconds")  # what `finish` adds to the metrics


def locate(reference, values: dict, label: str = "custom") -> Path:
    """The folder of a run with these values: the one that has their hash, else a new name with this label."""
    path = notebook.find(reference)
    digest = params.digest(path, values)
    parent = paths.outputs() / path.stem
    found = sorted(parent.glob(f"*-{digest}"), key=lambda folder: (not is_done(folder), folder.name))
    return found[0] if found else parent / f"{label}-{digest}"


def is_one(folder: Path) -> bool:
    return (folder / "params.yaml").is_file()


def is_done(folder: Path) -> bool:
    return (folder / "metrics.json").is_file()


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


def write_json(path: Path, value) -> None:
    """Atomically: a reader sees the old file or the new one. Refuses NaN and infinity, which are not JSON."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def write_params(folder: Path, values: dict) -> None:
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in values.items() if name not in params.OWNED_BY_RUNNER}
    temporary = folder / "params.yaml.tmp"
    temporary.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")
    os.replace(temporary, folder / "params.yaml")


def read_params(folder: Path) -> dict:
    import yaml

    return yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))


def set_aside(folder: Path) -> None:
    """Moves an earlier result to `previous/`, so that the run begins afresh and one step back stays possible."""
    import shutil

    old = folder / "previous"
    shutil.rmtree(old, ignore_errors=True)
    moved = [path for path in folder.iterdir() if not path.name.startswith(KEPT)]
    if moved:
        old.mkdir()
    for path in sorted(moved, key=lambda path: path.name != "metrics.json"):  # first it stops being done
        path.rename(old / path.name)


@dataclass
class Run:
    """One run of a notebook: its parameters, its folder, and the few things that every notebook does with them."""

    notebook: str
    dir: Path
    params: dict
    label: str
    device: str = "cpu"
    headless: bool = False
    rank: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seed(self) -> int:
        return self.params.get("seed", 0)

    @property
    def checkpoints(self) -> Path:
        folder = self.dir / "checkpoints"
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
        path = self.dir / (name if name.endswith(".json") else f"{name}.json")
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
        style.show(style.save(fig, self.dir / "figures" / f"{name}.png"))

    def finish(self, metrics: dict) -> None:
        """Writes metrics.json, which marks the run as done: a flat dict of finite numbers, text and booleans.

        Adds the notebook, the preset's name and the wall seconds of this attempt. ValueError naming the metric that
        is not finite, not flat, or has a name that is taken. Ranks that trained together wait here for each other: a run is done
        when all of them are.
        """
        row = {name: _plain(name, value) for name, value in metrics.items()}
        _meet()
        seconds = round(time.monotonic() - self.began, 1)
        row |= {"notebook": self.notebook, "preset": self.label, "wall_seconds": seconds}
        if self.rank == 0:
            (self.dir / "error.json").unlink(missing_ok=True)
            write_json(self.dir / "metrics.json", row)
            lock.release(self.dir)
        print(f"done in {seconds:.0f} s: " + ", ".join(f"{k} {_short(row[k])}" for k in metrics))


def _meet() -> None:
    if launch.world() > 1 and "torch" in sys.modules:
        from ivcore import ranks

        ranks.largest([0])


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


def start(name: str, namespace: dict) -> Run:
    """Begins the run of a notebook: `run = start("10_masked_video_modeling", globals())` in its setup cell.

    Takes the parameters from the namespace and checks them as `iv run` does, so that JupyterLab and plain papermill are
    held to the same; runs an encoder's notebook first where that run is not there yet; makes the run folder (the same
    one for the same parameters) and resumes what an earlier attempt left in it, or sets a finished result aside; seeds
    every generator; sets the look of figures; prints where it is and on what. ParameterError, UserError: one line.
    """
    path = notebook.find(name)
    values = _values(path, namespace)
    _run_upstream(path, values)
    values = params.pin(path, values)
    folder = _folder(path, values, namespace.get("run_dir") or os.environ.get("IVCORE_RUN_DIR"))
    _claim(folder, is_outdated(folder, path, values))
    run = Run(path.stem, folder, values, label_of(folder), _device(values), _headless(), launch.rank())
    _seed(run)
    _record(run)
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
    from ivcore import upstream

    for name, value in params.encoders(path, values).items():
        wanted = upstream.named_run(value)
        if not wanted or is_done(paths.resolve(upstream.pin(value))):
            continue
        # A process of its own: this kernel's event loop is busy running the cell.
        command = [sys.executable, "-m", "ivcore.run", wanted[0].stem, wanted[1]]
        print(f"{wanted[0].stem} {wanted[1]} is not there yet: running it first", flush=True)
        if subprocess.run(command, cwd=paths.ROOT).returncode:
            raise ParameterError(f"{name} = {value!r}: that run failed, see {upstream.pin(value)}/error.json")


def _folder(path: Path, values: dict, run_dir: str | None) -> Path:
    return paths.resolve(run_dir) if run_dir else locate(path, values, _matching_preset(path, values))


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


def _claim(folder: Path, fresh: bool) -> None:
    """Makes the folder ready for this attempt; the runner has done it already for the kernels it starts."""
    if os.environ.get("IVCORE_RUN_DIR") == str(folder):
        return
    prepare(folder, fresh)


def is_outdated(folder: Path, path: Path, values: dict) -> bool:
    """Whether what is in the folder was begun from an encoder that has been made anew since; says so."""
    from ivcore import lineage

    outdated = lineage.is_outdated(folder, params.encoders(path, values))
    if outdated and not is_done(folder):
        print("its encoder has been made anew since this run was begun: beginning afresh", flush=True)
    return outdated


def prepare(folder: Path, fresh: bool = False, wait: bool = False) -> None:
    """Locks the folder for this process. A finished result, or with `fresh` any, is set aside; else it is resumed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock.acquire(folder, wait)
    if fresh or is_done(folder):
        set_aside(folder)
    for old in ("error.json", "error-rank*.json", "notebook-rank*.ipynb"):  # of an attempt that failed
        for path in folder.glob(old):
            path.unlink(missing_ok=True)


def _device(values: dict) -> str:
    return environment.pick_device(values["device"]) if "device" in values else "cpu"


def _seed(run: Run) -> None:
    if "torch" in sys.modules or "device" in run.params:  # a notebook that computes has a device
        from ivcore import randomness

        return randomness.seed_all(run.seed)
    import numpy as np

    random.seed(run.seed)
    np.random.seed(run.seed % 2**32)


def _record(run: Run) -> None:
    from ivcore import lineage

    if run.rank == 0:
        write_params(run.dir, run.params)
        lineage.record(run.dir, params.encoders(run.notebook, run.params))
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
