"""Folders and paths. Every path in a preset or a run's parameters is relative to the project root, not to the working
folder: JupyterLab starts a kernel in the notebook's folder, papermill in its own, and both must find the same file. A
path that a user types, in a shell or in a parameters cell, may also be relative to the working folder: see `placed`.
"""

import os
from pathlib import Path

from ivcore.errors import ParameterError, shown

_LONGEST, _LONGEST_NAME = 4095, 255  # bytes of a path, and of each name in it


def _root() -> Path:
    if os.environ.get("IVCORE_ROOT"):
        return Path(os.environ["IVCORE_ROOT"]).resolve()
    here = Path(__file__).resolve().parent.parent
    if (here / "pyproject.toml").is_file():
        return here
    # Installed as a plain wheel: the root is the checkout around the working folder.
    cwd = Path.cwd()
    return next((p for p in (cwd, *cwd.parents) if (p / "notebooks").is_dir()), cwd)


ROOT = _root()


def resolve(path) -> Path:
    """Absolute form of a user's path: `~` expanded, relative to the project root. ParameterError if it is no path."""
    return _joined(ROOT, path)


def _joined(base: Path, path) -> Path:
    text = os.fspath(path)
    try:
        found = (base / Path(text).expanduser()).absolute()
    except RuntimeError:
        user = Path(text).parts[0]
        raise ParameterError(f"{shown(text)}: no path, there is no user {shown(user[1:])}") from None
    try:
        lengths = [len(os.fsencode(part)) for part in (str(found), *found.parts)]
    except UnicodeEncodeError:
        raise ParameterError(f"{shown(text)}: no path, it holds half of a character") from None
    if "\0" in text:
        raise ParameterError(f"{shown(text)}: no path, it holds a NUL character")
    if lengths[0] > _LONGEST or max(lengths[1:]) > _LONGEST_NAME:
        raise ParameterError(f"{shown(text)}: no path, it is longer than any file's")
    return found


def candidates(path) -> list[Path]:
    """Possible absolute forms of a typed path: relative to the working folder, then to the project root."""
    try:
        bases = (Path.cwd(), ROOT)
    except FileNotFoundError:  # the working folder has been removed
        bases = (ROOT,)
    return list(dict.fromkeys(_joined(base, path) for base in bases))


def placed(path: str, typed: bool) -> str:
    """Converts a path, perhaps relative to the working folder, to that of parameters: absolute or relative to the root.

    A `typed` path is looked up in the working folder first, a preset's path in the project root first.
    """
    places = candidates(path)
    found = next(filter(os.path.exists, places if typed else reversed(places)), None)
    return path if found in (None, resolve(path)) else short(os.path.normpath(found))


def short(path) -> str:
    """The path as shown to users: relative to the project root if it lies below it."""
    path = Path(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def notebooks() -> Path:
    return ROOT / "notebooks"


def presets() -> Path:
    return ROOT / "params"


def outputs() -> Path:
    """Folder of run folders, outputs/<notebook>/<label>-<hash>; $IVCORE_OUTPUTS moves it."""
    return resolve(os.environ.get("IVCORE_OUTPUTS") or "outputs")


def cache() -> Path:
    """Folder of files that runs share, such as rendered shapes; $IVCORE_CACHE moves it."""
    return resolve(os.environ["IVCORE_CACHE"]) if os.environ.get("IVCORE_CACHE") else outputs() / "cache"
