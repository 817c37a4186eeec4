"""What a run was made from: the results of the runs that its encoders come from, as they were when it began.

The same parameters lead to the same folder, also where an encoder has been made anew in between. What was begun from the old one
must then not go on from its checkpoints.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ivcore import params, paths, run_folder

FILE = "upstream.json"


def results(encoders: dict[str, str]) -> dict[str, str]:
    """Of each parameter that names a finished run (a folder, as `params.pin` gives it) a digest of its metrics.json."""
    files = {name: paths.resolve(value) / "metrics.json" for name, value in encoders.items() if value}
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for name, file in files.items()
        if file.is_file()
    }


def apart_from_seeds(values: dict) -> dict:
    """Parameters of a run without its seed and folder, and with the runs that it starts from described in the same way.

    So two runs have the same of it where they, and all that led to them, differ in nothing but seeds.
    """
    kept = {n: value for n, value in values.items() if n not in ("seed", *params.OWNED_BY_RUNNER)}
    return {name: _origin(value) for name, value in kept.items()}


def _origin(value):
    folder = paths.resolve(value) if isinstance(value, str) and "/" in value else None
    if folder is None or not run_folder.is_one(folder):
        return value
    return {"notebook": folder.parent.name} | apart_from_seeds(run_folder.read_params(folder))


def record(folder: Path, encoders: dict[str, str]) -> None:
    """Writes upstream.json; nothing for a run that starts from no other."""
    if found := results(encoders):
        run_folder.write_json(folder / FILE, found)


def is_outdated(folder: Path, encoders: dict[str, str]) -> bool:
    """Whether the attempt in the folder began from a result that is another one by now."""
    try:
        before = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    now = results(encoders)
    return any(now.get(name, digest) != digest for name, digest in before.items())
