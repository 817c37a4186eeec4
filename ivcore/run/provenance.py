"""What a run was made from: the results of the runs that its encoders come from, and the user's files, as they were when it began.

The same parameters lead to the same folder, also where an encoder has been made anew in between, or a list edited. What was begun from the
old one must then not go on from its checkpoints, and a result of the old one is not the result any more.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ivcore import paths
from ivcore.errors import UserError
from ivcore.run import inputs
from ivcore.run import presets as params
from ivcore.run import session as run_folder

FILE = "encoders.json"


def results(encoders: dict[str, str]) -> dict[str, str]:
    """Of each parameter that names a finished run (a folder, as `params.pin` gives it) a digest of its metrics, the time it took apart."""
    found = {name: run_folder.read_metrics(paths.resolve(value)) for name, value in encoders.items() if value}
    return {name: _digest(metrics) for name, metrics in found.items() if metrics is not None}


def _digest(metrics: dict) -> str:
    kept = {name: value for name, value in metrics.items() if name != "wall_seconds"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def apart_from_seeds(values: dict) -> dict:
    """Parameters of a run without its seed and folder, and with the runs that it starts from described in the same way.

    So two runs have the same of it where they, and all that led to them, differ in nothing but seeds.
    """
    return {n: _origin(value) for n, value in params.of_result(values).items() if n != "seed"}


def _origin(value):
    folder = paths.resolve(value) if isinstance(value, str) and "/" in value else None
    if folder is None or not run_folder.is_one(folder):
        return value
    try:
        return {"notebook": folder.parent.name} | apart_from_seeds(run_folder.read_params(folder))
    except UserError:  # a damaged folder is told from others by its name
        return value


def record(folder: Path, reference, values: dict) -> None:
    """Writes encoders.json and inputs.json, each where there is something to say. `values` as `params.pin` gives them."""
    if found := results(params.encoders(reference, values)):
        run_folder.write_json(folder / FILE, found)
    inputs.record(folder, reference, values)


def changes(folder: Path) -> list[str]:
    """What the run in the folder was made from and is another by now, in words; [] where nothing is, or nothing is known."""
    return [*_other_encoders(folder), *inputs.changes(folder)]


def _other_encoders(folder: Path) -> list[str]:
    try:
        before = json.loads((folder / FILE).read_text(encoding="utf-8"))
        values = run_folder.read_params(folder)
        encoders = {name: values[name] for name in before}
        now = results(encoders)
        changed = [encoders[name] for name, digest in before.items() if now.get(name, digest) != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):
        return []
    return [f"its encoder {run_folder.brief(value)} has been made anew" for value in changed]


def is_current(folder: Path) -> bool:
    """Whether the run is done, and with the inputs that there are now."""
    return run_folder.is_done(folder) and not changes(folder)


def state(folder: Path) -> str:
    """As `run_folder.state`, and "stale" for a result of other inputs than there are now."""
    found = run_folder.state(folder)
    return "stale" if found == "done" and changes(folder) else found
