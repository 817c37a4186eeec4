"""What a run was made from: the results of the runs that its encoders come from, and the user's files, as they were when it began.

The same parameters lead to the same folder, also where an encoder has been made anew in between, or a list edited. What was begun from the
old one must then not go on from its checkpoints, and a result of the old one is not the result any more. So a run keeps a digest of each:
encoders.json, and inputs.json for lists of videos, class names, label sets and weights. The videos themselves are not looked at.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ivcore import files, paths
from ivcore.errors import UserError
from ivcore.run import folder as run_folder
from ivcore.run.spec import Reference, Spec, brief

ENCODERS, INPUTS = "encoders.json", "inputs.json"
_WHOLE = 64 * 2**20  # bytes; of a larger file its size and pieces from all over it count
_PIECES, _PIECE = 64, 2**20
_LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
_IN_FOLDER = ("motion_classes.txt", "groups.csv", "*/train.csv", "*/val.csv", "*/test.csv", "*/classes.txt",
              "train.csv", "val.csv", "test.csv", "classes.txt",
              "*.safetensors", "*.bin", "*.pt", "*.pth")  # fmt: skip


def record(folder: Path, spec: Spec, values: dict) -> None:
    """Writes encoders.json and inputs.json, each where there is something to say. `values` as `Spec.pin` gives them."""
    if encoders := results(spec.encoders(values)):
        files.write_json(folder / ENCODERS, encoders)
    if inputs := {place: _digests(paths.resolve(place)) for place in _places(spec, values)}:
        files.write_json(folder / INPUTS, inputs)


def changes(folder: Path) -> list[str]:
    """What the run in the folder was made from and is another by now, in words: ["my/train.csv has changed (24 → 25 lines)"].

    [] where nothing is, or nothing is known: a place that is not on this machine tells nothing.
    """
    return [*_other_encoders(folder), *_other_files(folder)]


def is_current(folder: Path) -> bool:
    """Whether the run is done, and with the inputs that there are now."""
    return run_folder.is_done(folder) and not changes(folder)


def state(folder: Path) -> str:
    """As `folder.state`, and "stale" for a result of other inputs than there are now."""
    stands = run_folder.state(folder)
    return "stale" if stands == "done" and changes(folder) else stands


# ---- encoders


def results(encoders: dict[str, str]) -> dict[str, str]:
    """Of each parameter that names a finished run (a folder, as `Spec.pin` gives it) a digest of its metrics, the time it took apart."""
    metrics = {name: run_folder.read_metrics(paths.resolve(value)) for name, value in encoders.items() if value}
    return {name: _digest_of_metrics(found) for name, found in metrics.items() if found is not None}


def _digest_of_metrics(metrics: dict) -> str:
    kept = {name: value for name, value in metrics.items() if name != "wall_seconds"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _other_encoders(folder: Path) -> list[str]:
    try:
        before = json.loads((folder / ENCODERS).read_text(encoding="utf-8"))
        values = run_folder.read_params(folder)
        encoders = {name: values[name] for name in before}
        now = results(encoders)
        changed = [encoders[name] for name, digest in before.items() if now.get(name, digest) != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):
        return []
    return [f"its encoder {brief(value)} has been made anew" for value in changed]


# ---- files


def _other_files(folder: Path) -> list[str]:
    try:
        before = json.loads((folder / INPUTS).read_text(encoding="utf-8"))
        return [told for place, then in before.items() for told in _differences(paths.resolve(place), then)]
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return []


def _places(spec: Spec, values: dict) -> list[str]:
    """What the parameters name of files and folders here, but for runs, whose results encoders.json follows."""
    names = [name for name, each in spec.parameters.items() if each.names_file or each.kind == "encoder"]
    given = [values[name] for name in names if values.get(name) and not Reference.of(values[name])]
    places = [paths.resolve(value) for value in given]
    return [paths.short(place) for place in places if place.exists() and not run_folder.is_one(place)]


def _files(place: Path) -> list[Path]:
    """A file with the class names and groups beside it; of a folder its label sets or weights."""
    if place.is_dir():
        return [file for pattern in _IN_FOLDER for file in sorted(place.glob(pattern)) if file.is_file()]
    beside = [place.with_name(name) for name in ("classes.txt", "groups.csv")] if place.suffix == ".csv" else []
    return [place, *(file for file in beside if file.is_file() and file != place)]


def _digests(place: Path) -> dict[str, dict]:
    return {paths.short(file): _digest(file) for file in _files(place)}


def _digest(file: Path) -> dict:
    size = file.stat().st_size
    hasher, lines = hashlib.sha256(str(size).encode()), 0
    with open(file, "rb") as stream:
        for start in _starts(size):
            stream.seek(start)
            piece = stream.read(_PIECE)
            hasher.update(piece)
            lines += piece.count(b"\n")
    counted = file.suffix in _LISTS and size <= _WHOLE
    return {"bytes": size, "lines": lines if counted else None, "sha256": hasher.hexdigest()}


def _starts(size: int) -> list[int]:
    """Where the pieces begin that are read: all of them, or of a large file some, from its first byte to its last."""
    if size <= _WHOLE:
        return list(range(0, size, _PIECE))
    return [(size - _PIECE) * i // (_PIECES - 1) for i in range(_PIECES)]


def _differences(place: Path, then: dict) -> list[str]:
    if not place.exists():
        return []
    now = _digests(place)
    gone = [f"{file} is gone" for file in then if file not in now]
    new = [f"{file} is new" for file in now if file not in then]
    changed = [_told(file, then[file], now[file]) for file in now if file in then and then[file] != now[file]]
    return gone + new + changed


def _told(file: str, then: dict, now: dict) -> str:
    for unit in ("lines", "bytes"):
        if then[unit] != now[unit] and None not in (then[unit], now[unit]):
            return f"{file} has changed ({then[unit]} → {now[unit]} {unit})"
    return f"{file} has changed (as long as before, with other content)"
