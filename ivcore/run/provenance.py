"""Records what a run was made from (results of its encoders' runs, and the user's files) and detects later changes.

The same parameters lead to the same folder, even if an encoder was trained again or a list was edited in between. An
unfinished run must then not continue from its checkpoints, and its result is stale. A run therefore stores digests:
encoders.json, and inputs.json for its lists of videos, class names, label sets and weights, and for the sources of a
generated set. Videos themselves are not read (a label set may hold a digest of them), nor are lists that only lie in
the same folder.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ivcore import files, paths
from ivcore.data.embedded import parts
from ivcore.data.labels.union import SET_FILES, set_folders
from ivcore.errors import UserError
from ivcore.run import folder as run_folder
from ivcore.run.spec import Reference, Spec, brief, place_of

ENCODERS, INPUTS = "encoders.json", "inputs.json"
_WHOLE = 64 * 2**20  # bytes; the digest of a larger file covers its size and evenly spread pieces
_PIECES, _PIECE = 64, 2**20
_LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
_BESIDE = {
    "kinetics_csv": ("classes.txt", "groups.csv"),
    "video_list": ("classes.txt", "groups.csv"),
    "captions": ("groups.csv",),
}
VIDEOS = "videos.sha256"  # digest of a label set's videos, if the writer of its lists has made one
_OF_SETS = ("motion_classes.txt", "groups.csv", VIDEOS)
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
_SET = "generated set"
_ROOT = "video_root"  # only the base of relative paths; lists in it are not read


def record(folder: Path, spec: Spec, values: dict) -> None:
    """Writes encoders.json and inputs.json, unless empty. `values` as `Spec.pin` returns them."""
    if encoders := results(spec.encoders(values)):
        files.write_json(folder / ENCODERS, encoders)
    places = _places(spec, values)
    inputs = {place: {"kind": kind, "files": _digests(paths.resolve(place), kind)} for place, kind in places.items()}
    inputs |= {name: {"kind": _SET, "sources": sources} for name in _sets(spec, values) if (sources := parts(name))}
    if inputs:
        files.write_json(folder / INPUTS, inputs)


def changes(folder: Path) -> list[str]:
    """Changed inputs of a run, in words: ["my/train.csv has changed (24 → 25 lines)"].

    [] if nothing has changed or nothing is known; a path that is missing on this machine is not a change.
    """
    return [*_other_encoders(folder), *_other_files(folder)]


def is_current(folder: Path) -> bool:
    """True if the run is done and its inputs have not changed."""
    return run_folder.is_done(folder) and not changes(folder)


def state(folder: Path) -> str:
    """State as in `folder.state`, or "stale" for a result whose inputs have changed."""
    stands = run_folder.state(folder)
    return "stale" if stands == "done" and changes(folder) else stands


# ---- encoders


def results(encoders: dict[str, str]) -> dict[str, str]:
    """{parameter: digest of the run's metrics without time}, for parameters that hold the folder of a finished run."""
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
        return [told for place, then in before.items() for told in _differences(place, then)]
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return []


def _places(spec: Spec, values: dict) -> dict[str, str]:
    """{path: kind} of the existing files and folders that parameters name, without runs, which encoders.json covers.

    A kind is the reader of a file (see `constraints`), "folder" for label sets, or "encoder".
    """
    places, sets = {}, _sets(spec, values)
    for name, parameter in spec.parameters.items():
        follows = (parameter.names_file or parameter.kind == "encoder") and name != _ROOT
        if not follows or not values.get(name) or values[name] in sets or Reference.of(values[name]):
            continue
        place = place_of(values[name]) if parameter.kind == "encoder" else paths.resolve(values[name])
        if place.exists() and not run_folder.is_one(place):
            kind = parameter.constraint.detail[0] if parameter.kind == "file" else parameter.kind
            places[paths.short(place)] = kind
    return places


def _sets(spec: Spec, values: dict) -> list[str]:
    """Names of generated sets in the parameters."""
    constraints = {name: each.constraint for name, each in spec.parameters.items() if each.constraint}
    named = [(each, value) for name, each in constraints.items() for value in _each(values.get(name))]
    return [value for each, value in named if value and each.names_set(value)]


def _each(value) -> list:
    return value if isinstance(value, list) else [value]


def _files(place: Path, kind: str) -> list[Path]:
    """Files to digest: a file with its class names and groups, or the label sets or weights of a folder."""
    if kind == "folder":
        of_each = [folder / name for folder in set_folders(place) for name in SET_FILES]
        files_of_place = [*(place / name for name in _OF_SETS), *of_each]
    elif place.is_dir():
        files_of_place = [file for pattern in _WEIGHTS for file in sorted(place.glob(pattern))]
    else:
        files_of_place = [place, *(place.with_name(name) for name in _BESIDE.get(kind, ()))]
    return [file for file in files_of_place if file.is_file()]


def _digests(place: Path, kind: str) -> dict[str, dict]:
    return {paths.short(file): _digest(file) for file in _files(place, kind)}


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
    """Start offsets of the pieces to read: the whole file, or evenly spread pieces of a large one."""
    if size <= _WHOLE:
        return list(range(0, size, _PIECE))
    return [(size - _PIECE) * i // (_PIECES - 1) for i in range(_PIECES)]


def _differences(place: str, before: dict) -> list[str]:
    if before["kind"] == _SET:
        new = [source for source, folder in parts(place).items() if before["sources"].get(source) != folder]
        return [f"{place} has other videos of {', '.join(new)}"] if new else []
    place = paths.resolve(place)
    if not place.exists():
        return []
    now, then = _digests(place, before["kind"]), before["files"]
    gone = [f"{file} is gone" for file in then if file not in now]
    new = [f"{file} is new" for file in now if file not in then]
    changed = [_told(file, then[file], now[file]) for file in now if file in then and then[file] != now[file]]
    return gone + new + changed


def _told(file: str, then: dict, now: dict) -> str:
    for unit in ("lines", "bytes"):
        if then[unit] != now[unit] and None not in (then[unit], now[unit]):
            return f"{file} has changed ({then[unit]} → {now[unit]} {unit})"
    return f"{file} has changed (as long as before, with other content)"
