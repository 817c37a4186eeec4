"""A run inside its notebook: `start` begins it and returns a `Run`, which the cells use.

A finished run starts again only on request (`iv run --force`, `fresh=True`) or if its inputs have changed; its result
is then kept in `previous/`. A notebook opened on a finished run shows it: it computes and draws, but writes nothing
into the folder. If several ranks run a notebook together, only rank 0 writes figures, JSON files and metrics.
"""

import ast
import copy
import functools
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
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ivcore import distributed, files, lock, paths
from ivcore.data import formats
from ivcore.errors import ParameterError, UserError, one_line
from ivcore.run import contradictions, environment, provenance, stacks
from ivcore.run import folder as run_folder
from ivcore.run.folder import is_done, read_metrics
from ivcore.run.spec import LOOK, OWNER, TINY, Spec, resolving_once
from ivcore.run.stand_in import stand_in, told

RESERVED = ("notebook", "preset", "wall_seconds", "headline")  # `finish` adds these to the metrics
_LAST = "_last_start"  # in an open notebook: the values that `start` set, and those that they replaced


@dataclass
class Run:
    """One run of a notebook: its parameters, its folder, and methods that every notebook needs.

    shown: the run was done before; files then go to a temporary folder.
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
        """Folder for files of this attempt: the run's folder, or a temporary one if the run is only shown."""
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
        """The encoder in parameter `name`, for `weights.load`: a path, a published name, or None for scratch."""
        value = self.params[name]
        if value in (None, "", "scratch"):
            return None
        path = paths.resolve(value)
        return path if path.exists() else value

    @property
    def from_box(self) -> list[str]:
        """Names of the box's models that this run starts from."""
        named = (value for value in self.params.values() if isinstance(value, str) and value.startswith(OWNER))
        return list(dict.fromkeys(named))

    def write_json(self, name: str, value) -> Path:
        path = self.out / (name if name.endswith(".json") else f"{name}.json")
        if self.rank == 0:
            files.write_json(path, value)
        return path

    def figure(self, fig, name: str, caption: str = "", alt: str = "") -> None:
        """Saves figures/<name>.png, shows it (at reading size, in full resolution) and closes the figure.

        caption: text below the picture in the report. alt: text for readers who cannot see it. Both are stored in
        figures/<name>.json. Returns None, because the value of a cell's last line would be printed below the picture.
        """
        from ivcore.show import style

        if self.rank > 0:
            import matplotlib.pyplot as plt

            return plt.close(fig)
        words = self.out / "figures" / f"{name}.json"
        words.unlink(missing_ok=True)
        if caption or alt:
            files.write_json(words, {"caption": caption, "alt": alt})
        style.show(style.save(fig, words.with_suffix(".png")), alt, live=not self.headless)

    def list_bad_rows(self, errors: list) -> None:
        """Prints the number of left-out list rows, lists them in bad_rows.jsonl, and counts them in metrics.json."""
        first, more = (errors[0], f"{len(errors)} rows left out, e.g. line {errors[0].line}: {errors[0].expected}")
        print(one_line(f"{first.path}: {more}"))
        self.bad_rows |= dict.fromkeys((error.path, error.line, error.expected) for error in errors)
        if self.rank == 0:
            listed = [dict(zip(("path", "line", "cause"), row)) for row in self.bad_rows]
            text = "".join(f"{json.dumps(row)}\n" for row in listed)
            files.write_text(self.out / "bad_rows.jsonl", text)

    def finish(self, metrics: dict, headline: Sequence[str] = ()) -> None:
        """Writes metrics.json, which marks the run as done: a flat dict of finite numbers, text and booleans.

        headline: the main metrics, shown first on the leaderboard and in the report. Adds the notebook, the preset's
        name, the seconds of this attempt, and the models of the box that it started from ("box"). Ranks that trained
        together wait here for each other. If the run is only shown, it prints how metrics differ from metrics.json and
        does not change the file.

        Errors: ValueError names a metric that is not finite or not flat, or has a reserved name.
        """
        row = {name: _plain(name, value) for name, value in metrics.items()}
        row |= {"bad_rows": len(self.bad_rows)} if self.bad_rows else {}
        row |= {"box": ", ".join(self.from_box)} if self.from_box else {}
        if self.shown:
            return print(_compared(row, read_metrics(self.dir) or {}))
        distributed.barrier()
        seconds = round(time.monotonic() - self.began, 1)
        row |= {"notebook": self.notebook, "preset": self.label, "wall_seconds": seconds}
        if first := [name for name in headline if name in row]:
            row["headline"] = first
        if self.rank == 0:
            (self.dir / "error.json").unlink(missing_ok=True)
            files.write_json(self.dir / run_folder.COPY, row)
            files.write_json(self.dir / "metrics.json", row)
            _forget_states(self.dir)
            lock.release(self.dir)
        print(f"done in {seconds:.0f} s: " + ", ".join(f"{k} {_short(row[k])}" for k in metrics))


def _forget_states(folder: Path) -> None:
    """Deletes the files of a finished run that only further training needs. A failure does no harm."""
    if "torch" in sys.modules:  # otherwise nothing was trained
        from ivcore.train.checkpoints import forget_states

        with suppress(OSError):
            forget_states(folder)


def _compared(row: dict, stored: dict) -> str:
    """A line that compares the metrics of a shown run with the stored ones."""
    named = [*row, *(name for name in stored if name not in row and name not in RESERVED)]
    other = [f"{k} {_short(stored.get(k))} → {_short(row.get(k))}" for k in named if stored.get(k) != row.get(k)]
    if not other:
        return "shown: every metric is as in metrics.json"
    return "shown: metrics.json stays as it is; computed now otherwise: " + ", ".join(other)


def _plain(name: str, value):
    """Converts a metric (also numpy and torch scalars) to a JSON value. ValueError for others and reserved names."""
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


def start(name: str, namespace: dict, fresh: bool = False, preset: str = "") -> Run:
    """Begins the run of a notebook: `run = start("10_masked_video_modeling", globals())` in its setup cell.

    It takes the parameters from the namespace and checks them as `iv run` does, also in JupyterLab and plain papermill.
    If an encoder's run is missing, it uses a model of the box; if the box has none, or the run has changed parameters,
    it makes that run first. It creates the run folder (the same one for the same parameters) or resumes an earlier
    attempt, seeds all generators, sets the style of figures, and prints folder and device. A finished run is shown:
    `train` reads its files, and nothing in its folder changes. With `fresh` it starts again, and earlier files are kept
    in `previous/`.

    `run = start("10_masked_video_modeling", globals(), preset="quick")` replaces the values of the parameters cell by
    those of a preset, in an open notebook only: it has no effect if papermill or `iv run` has chosen the values. Each
    call begins with the cell's values again.

    If the parameters cell is a short run instead of preset tiny, an open notebook says so. With an unchanged cell it
    shows the run of tiny if that is done.

    Errors: ParameterError and UserError, of one line.
    """
    spec = Spec.of(name)
    if runners := os.environ.get("IVCORE_NOTEBOOK"):  # the runner's copy: the source may have been edited since
        spec = replace(spec, parameters=Spec.of(runners).parameters)
    asked, models = _values(spec, namespace, preset)
    given = spec.check(asked | models)
    values = spec.pin(given)
    folder = _folder(spec, values, namespace.get("run_dir"), fresh, asked)
    if is_short(spec, asked):
        ways = [
            preset for preset in spec.presets() if re.match(rf"{TINY}(_|$)", preset)
        ]  # presets tiny and tiny_…, one per encoder
        commands = " and ".join(f"`iv run {spec.number} {preset}`" for preset in ways)
        is_one = "is the measured one" if len(ways) == 1 else "are the measured ones"
        print(f"a short run, to look at: {commands} {is_one}", flush=True)
    if models:
        print(told(spec, asked, models), flush=True)
    if fresh or not is_done(folder):
        _run_upstream(spec, given)
    device = environment.pick_device(values["device"]) if "device" in values else "cpu"
    stacks.answer()
    again = f"start({name!r}, globals(), {f'preset={preset!r}, ' if preset else ''}fresh=True)"
    shown = _claim(folder, fresh, again)
    label, headless = run_folder.label_of(folder), os.environ.get("IVCORE_HEADLESS", "0") not in ("", "0")
    run = Run(spec.stem, folder, values, label, device, headless, distributed.rank(), shown)
    _seed(run)
    _record(run, spec)
    _warn_of_room(run, spec)
    formats.leave_out_bad_rows(run.list_bad_rows if values.get("drop_bad_rows") else None)
    from ivcore.show import style

    style.apply()
    return run


def _values(spec: Spec, namespace: dict, preset: str) -> tuple[dict, dict[str, str]]:
    """(requested values, models of the box that replace missing runs). Both are also written to the namespace."""
    injected = _injected(namespace)
    for name in injected or ():
        spec.require(name)
    if missing := [name for name in spec.parameters if name not in namespace]:
        raise ParameterError(f"{missing[0]} is not set: run the parameters cell of {spec.stem} first")
    defaults = spec.cell | _take_back(namespace)
    given = own = {name: namespace[name] for name in spec.parameters}
    by_hand, elsewhere = injected is None, not _given_by_runner()  # no values from papermill; not run by `iv run`
    if by_hand and elsewhere and not preset and own == spec.cell and _is_measured(spec):
        print(f"the run of {TINY} is there: it is shown (preset={LOOK!r} in start trains the short one)", flush=True)
        preset = TINY
    if elsewhere and (preset or not by_hand):  # same defaults as `iv run`
        untouched = [name for name in own if name not in (injected or ()) and own[name] == defaults[name]]
        given = own | {name: spec.defaults[name] for name in untouched}
    if elsewhere and by_hand and preset:
        given = spec.check(contradictions.override(given, _of_preset(spec, preset)))
        edited = [name for name in own if own[name] not in (defaults[name], given[name])]
        if edited:
            print(f"preset {preset} replaces " + ", ".join(f"{name} = {own[name]!r}" for name in edited), flush=True)
    values = spec.check({name: each.placed(given[name], typed=True) for name, each in spec.parameters.items()})
    if Path.cwd() != paths.ROOT:  # JupyterLab, plain papermill: cells open the paths in parameters
        given = given | {name: str(paths.resolve(place)) for name, place in spec.files(values).items()}
    models = {} if _given_by_runner() else stand_in(spec, values)
    given = given | models
    namespace.update(given)
    namespace[_LAST] = copy.deepcopy((given, own, defaults, len(namespace.get("In", ()))))
    return values, models


def is_short(spec: Spec, values: dict) -> bool:
    """True if all parameters in which the cell differs from tiny have the cell's values."""
    short = spec.load(LOOK) if LOOK in spec.presets() else {}
    return bool(short) and all(values[name] == value for name, value in short.items())


def _is_measured(spec: Spec) -> bool:
    """True if there is a finished run of tiny to show instead of the short run of the parameters cell."""
    return LOOK in spec.presets() and provenance.is_current(spec.folder(spec.pin(spec.one(TINY)), TINY))


def _take_back(namespace: dict) -> dict:
    """Restores the user's values that the last `start` replaced in this kernel, except those assigned since then.

    Returns the defaults of the parameters cell at the first `start`; {} if this is the first.
    """
    given, own, defaults, cells = namespace.pop(_LAST, ({}, {}, {}, 0))
    run_since = "\n".join(namespace.get("In", ())[cells:])
    assigned = {*re.findall(r"^(\w+)\s*(?::[^=\n]*)?=(?!=)", run_since, re.M)}
    kept = [name for name in given if name not in assigned and namespace.get(name) == given[name]]
    namespace.update({name: own[name] for name in kept})
    return defaults


def _of_preset(spec: Spec, preset: str) -> dict:
    """Values of a preset for an open notebook. ParameterError for a sweep."""
    spec.one(preset)  # raises for a sweep or an unreadable file
    given = spec.load(preset)
    return {name: spec.parameters[name].placed(value, typed=False) for name, value in given.items()}


def _injected(namespace: dict) -> list[str] | None:
    """Names assigned by papermill's cell, which may be unknown parameters; None without such a cell."""
    cells = [text for text in namespace.get("In", ()) if text.startswith("# Parameters\n")]
    nodes = [node for text in cells for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return [node.targets[0].id for node in nodes] if cells else None


def _run_upstream(spec: Spec, values: dict) -> None:
    for name, reference in spec.references(values).items():
        folder = reference.folder
        if lock.is_held(folder):  # another process runs it: wait for its end
            with lock.held(folder, wait=True):
                pass
        if provenance.is_current(folder):
            continue
        if not is_done(folder):
            print(f"{reference} is not there yet: running it first", flush=True)
        # In another process, because this kernel's event loop is busy running the cell.
        command = [sys.executable, "-m", "ivcore.run", *reference.arguments, "--wait"]
        if subprocess.run(command, cwd=paths.ROOT).returncode:
            told = (
                f", see {paths.short(folder)}/error.json"
                if run_folder.read_error(folder)
                else ": its lines above say why"
            )
            raise ParameterError(f"{name} = {values[name]!r}: that run did not finish{told}")


def _folder(spec: Spec, values: dict, run_dir: str | None, fresh: bool, asked: dict) -> Path:
    """The run's folder. ParameterError if a chosen one holds other files or runs. asked: values without the box."""
    if given := _given_by_runner():
        return given
    if not run_dir:
        preset = _matching_preset(spec, asked)
        return spec.folder(values, preset if spec.digest(asked) == spec.digest(values) else f"{preset}+")
    folder = paths.resolve(run_dir)
    refused = f"run_dir = {run_dir!r}"
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{refused}: it is no folder")
    if folder.is_dir() and any(file.name != ".lock" for file in folder.iterdir()):
        if not _holds_run_of(folder, spec):
            raise ParameterError(f"{refused}: the folder holds files of something else; choose an empty or a new one")
        if not fresh and spec.digest(spec.check(run_folder.read_params(folder))) != spec.digest(values):
            raise ParameterError(f"{refused}: the folder holds a run with other parameters; choose another, or fresh=True to keep that run in previous/")  # fmt: skip
    return folder


def _given_by_runner() -> Path | None:
    """The folder that `iv run` has chosen and prepared, or None."""
    given = os.environ.get("IVCORE_RUN_DIR")
    return Path(given) if given else None


def _holds_run_of(folder: Path, spec: Spec) -> bool:
    """True if the folder was made by a run of this notebook; other programs also write a params.yaml."""
    try:
        return (folder / ".lock").exists() and set(run_folder.read_params(folder)) <= set(spec.parameters)
    except UserError:
        return False


@resolving_once()
def _matching_preset(spec: Spec, values: dict) -> str:
    """The preset with these values, or "custom". So JupyterLab and papermill use the same folders as `iv run`."""
    digest = spec.digest(values)
    for preset in spec.presets():
        try:
            if spec.digest(spec.one(preset)) == digest:
                return preset
        except ParameterError:  # a sweep, or a preset whose files are not on this machine
            continue
    return "custom"


def _claim(folder: Path, fresh: bool, again: str) -> bool:
    """Prepares the folder, unless `iv run` did. True if the run is done and shown. UserError if its inputs changed."""
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
    run_folder.prepare(folder, fresh or bool(changed))
    return False


def _when(folder: Path) -> str:
    """ "28 Nov 2026 08:51, 6.9 min" """
    ended = datetime.fromtimestamp((folder / "metrics.json").stat().st_mtime)
    seconds = (read_metrics(folder) or {}).get("wall_seconds")
    took = f", {seconds / 60:.1f} min" if isinstance(seconds, int | float) else ""
    return f"{ended:%-d %b %Y %H:%M}{took}"


def _warn_of_room(run: Run, spec: Spec) -> None:
    """Prints a line on rank 0 if training steps will not fit into the GPU."""
    if run.device.startswith("cuda") and run.rank == 0 and not run.shown and "engine" in run.params:
        from ivcore.run import memory_check  # slow to import

        if said := memory_check.of_device(spec, run.params, run.device, distributed.world()):
            print(said, flush=True)


def _seed(run: Run) -> None:
    if "torch" in sys.modules or "device" in run.params:  # notebooks that use torch have a device
        from ivcore import rng

        return rng.seed_all(run.seed)
    import numpy as np

    random.seed(run.seed)
    np.random.seed(run.seed % 2**32)


def _record(run: Run, spec: Spec) -> None:
    if run.rank == 0 and not run.shown:
        run_folder.write_params(run.dir, run.params)
        provenance.record(run.dir, spec, run.params)
    command = os.environ.get("IVCORE_COMMAND") or shlex.join(sys.argv)
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    facts = environment.describe(run.device, command, now) | {"ranks": distributed.world()}
    run.write_json("env", facts)
    print(f"{run.notebook} · {run.label} · {paths.short(run.dir)}")
    shown = ["python " + facts["python"], *(f"{k} {facts['versions'][k]}" for k in ("torch", "timm", "numpy"))]
    print(" · ".join([facts["device"], f"commit {facts['commit'] or 'unknown'}", *shown]), flush=True)
    if run.from_box:
        print(f"starts from the box: {', '.join(run.from_box)}", flush=True)
