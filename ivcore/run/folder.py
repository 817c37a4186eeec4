"""The folder of a run: its place, its files and the state of the run.

    outputs/<notebook>/<label>-<hash of the parameters>/
        params.yaml  env.json  notebook.ipynb  log.txt  train.jsonl  figures/  checkpoints/  metrics.json

`metrics.json` is written last and atomically: it is the only mark that a run is done. The same parameters always lead
to the same folder, whatever its label, and whether the notebook runs in JupyterLab, under papermill or by `iv run`.
An earlier attempt is resumed, or moved to `previous/`: a result is never deleted.
"""

import itertools
import json
import math
import os
import re
import shutil
from pathlib import Path

import yaml

from ivcore import files, lock, paths
from ivcore.errors import ParameterError, UserError
from ivcore.run.parameters import OWNED_BY_RUNNER

KEPT = ("notebook", "log.txt", "log-rank", "previous", ".lock")  # beginnings of names kept by a fresh start
COPY = ".metrics.json"  # copy of metrics.json: Snakemake deletes a job's outputs before it runs the job again
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if PyYAML has it
_HASH = r"-([0-9a-f]{8})$"


def locate(stem: str, digest: str, label: str = "custom") -> Path:
    """Folder of the run of a notebook with this hash of values: an existing one, else a new path with this label."""
    if stem.startswith("."):
        raise ParameterError(
            f"{stem}.ipynb: a notebook's name must not begin with a dot: its runs lie in a folder of that name"
        )
    parent = paths.outputs() / stem
    there = sorted(parent.glob(f"*-{digest}"), key=lambda folder: (not is_done(folder), folder.name))
    return there[0] if there else parent / f"{label}-{digest}"


def is_one(folder: Path) -> bool:
    return (folder / "params.yaml").is_file()


def is_done(folder: Path) -> bool:
    """True if the run has a readable result."""
    return read_metrics(folder) is not None


def read_metrics(folder: Path) -> dict | None:
    """Content of metrics.json; None unless it is as `finish` writes it: finite numbers, notebook, preset."""
    try:
        text = (folder / "metrics.json").read_text(encoding="utf-8")
        found = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except (OSError, ValueError, RecursionError):
        return None
    named = isinstance(found, dict) and all(isinstance(found.get(key), str) for key in ("notebook", "preset"))
    return found if named else None


def _finite(text: str) -> float:
    """Parses a float. ValueError for NaN and infinity, also as 1e999."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _whole(text: str) -> int:
    """Parses an integer. ValueError if it is too large for a float, since it could not be drawn or compared."""
    _finite(text)
    return int(text)


def read_error(folder: Path) -> dict:
    """Content of error.json; {} if it is missing or unreadable."""
    try:
        found = json.loads((folder / "error.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def why(folder: Path) -> str:
    """The failure on one line: kind, exception and first line of the message; "" if unknown."""
    error = read_error(folder)
    parts = [str(error.get(name) or "").split("\n")[0] for name in ("kind", "exception", "message")]
    return ": ".join(filter(None, parts))


def state(folder: Path) -> str:
    """State of a run: done, running, failed, part (killed; the next start resumes it) or "" (never started)."""
    if is_done(folder):
        return "done"
    if not is_one(folder):
        return ""
    if lock.is_held(folder):
        return "running"
    return "failed" if (folder / "error.json").is_file() else "part"


def label_of(folder: Path) -> str:
    return re.sub(_HASH, "", folder.name)


def digest_of(folder: Path) -> str | None:
    """The hash in a run folder's name; None for another folder."""
    match = re.search(_HASH, folder.name)
    return match and match[1]


def write_params(folder: Path, values: dict) -> None:
    kept = {name: value for name, value in values.items() if name not in OWNED_BY_RUNNER}
    files.write_text(folder / "params.yaml", yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


def read_params(folder: Path) -> dict:
    """Reads params.yaml. UserError names the file if that fails."""
    file = folder / "params.yaml"
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{paths.short(file)} does not read")
    return found


def set_aside(folder: Path) -> None:
    """Moves the files of an earlier attempt to `previous/`, so that the run starts again.

    Results are never deleted: if `previous/` holds one, `previous-2/` is used. Only the last attempt without a result
    is kept.
    """
    moved = [path for path in folder.iterdir() if not path.name.startswith(KEPT)]
    if not moved:
        return
    old = next(place for place in _places(folder) if not _is_taken(place))
    if old.exists():
        shutil.rmtree(old)
    if is_done(folder) or (folder / COPY).exists():
        print(f"the earlier result is kept in {paths.short(old)}", flush=True)
    old.mkdir()
    for path in sorted(
        moved, key=lambda path: path.name != "metrics.json"
    ):  # metrics.json first: then it is no longer done
        path.rename(old / path.name)
    if (old / COPY).exists():
        os.replace(old / COPY, old / "metrics.json")


def _places(folder: Path):
    yield folder / "previous"
    yield from (folder / f"previous-{number}" for number in itertools.count(2))


def _is_taken(place: Path) -> bool:
    """True if the place holds a result, or is a link or file."""
    return place.is_symlink() or (place.exists() and (not place.is_dir() or (place / "metrics.json").exists()))


def prepare(folder: Path, fresh: bool = False, wait: bool = False) -> None:
    """Locks the folder for this process. With `fresh` earlier files are set aside; otherwise the run is resumed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock.acquire(folder, wait)
    if fresh:
        set_aside(folder)
    if is_done(folder):
        raise UserError(f"{paths.short(folder)} has been finished by another process: run the setup cell again")
    for old in (
        "metrics.json",
        "error.json",
        "error-rank*.json",
        "notebook-rank*.ipynb",
        "stacks*.txt",
    ):  # files of a failed attempt
        for path in folder.glob(old):
            path.unlink(missing_ok=True)
    for path in folder.glob("log*.txt"):
        if path.is_symlink():  # its target must not be overwritten
            path.unlink()
