"""Which of the user's files a run reads, and whether they are still what they were: lists of videos, class names, label sets, weights.

The same parameters lead to the same run, and a path stays the same when somebody edits the file. So a run keeps a digest of each (inputs.json).
The videos themselves are not looked at.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ivcore import files as atomic
from ivcore import paths
from ivcore.run import presets as params
from ivcore.run import upstream

FILE = "inputs.json"
_WHOLE = 64 * 2**20  # bytes; of a larger file its size and pieces from all over it count
_PIECES, _PIECE = 64, 2**20
_LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
_IN_FOLDER = ("motion_classes.txt", "groups.csv", "*/train.csv", "*/val.csv", "*/test.csv", "*/classes.txt",
              "train.csv", "val.csv", "test.csv", "classes.txt",
              "*.safetensors", "*.bin", "*.pt", "*.pth")  # fmt: skip


def record(folder: Path, reference, values: dict) -> None:
    """Writes inputs.json: {path of a parameter: {file: {bytes, lines, sha256}}}; nothing where a run reads no file of the user's."""
    found = {place: _digests(paths.resolve(place)) for place in _places(reference, values)}
    if found:
        atomic.write_text(folder / FILE, json.dumps(found, indent=1) + "\n")


def changes(folder: Path) -> list[str]:
    """What is another file by now, in words: ["my/train.csv has changed (24 → 25 lines)"]. A place that is not on this machine tells nothing."""
    try:
        before = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [told for place, then in before.items() for told in _differences(paths.resolve(place), then)]
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return []


def _places(reference, values: dict) -> list[str]:
    """What the parameters name of files and folders here, but for runs, whose results lineage.py follows."""
    known = params.read(reference)
    kinds = {name: each.constraint.kind for name, each in known.items() if each.constraint}
    given = [values.get(name) for name, kind in kinds.items() if kind in ("file", "folder", "encoder")]
    found = [paths.resolve(value) for value in given if value and not upstream.named_run(str(value))]
    return [paths.short(path) for path in found if path.exists() and not (path / "params.yaml").is_file()]


def _files(place: Path) -> list[Path]:
    """A file with the class names and groups beside it; of a folder its label sets or weights."""
    if place.is_dir():
        return [file for pattern in _IN_FOLDER for file in sorted(place.glob(pattern)) if file.is_file()]
    beside = (
        [place.with_name(name) for name in ("classes.txt", "groups.csv")] if place.suffix == ".csv" else []
    )
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
