"""Where things lie. Every path a user writes is relative to the project root, never to the working folder:
JupyterLab starts a kernel beside the notebook, papermill in its own folder, and both must mean the same file.
"""

import os
from pathlib import Path


def _root() -> Path:
    if os.environ.get("IVCORE_ROOT"):
        return Path(os.environ["IVCORE_ROOT"]).resolve()
    here = Path(__file__).resolve().parent.parent
    if (here / "pyproject.toml").is_file():
        return here
    # Installed as a plain wheel: the workbook is the checkout that one stands in.
    cwd = Path.cwd()
    return next((p for p in (cwd, *cwd.parents) if (p / "notebooks").is_dir()), cwd)


ROOT = _root()


def resolve(path) -> Path:
    """Absolute form of a path written by a user: `~` expanded, relative to the project root."""
    return (ROOT / Path(path).expanduser()).absolute()


def short(path) -> str:
    """The same path as people should read it: relative to the project root where it lies below it."""
    path = Path(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def notebooks() -> Path:
    return ROOT / "notebooks"


def presets() -> Path:
    return ROOT / "params"


def outputs() -> Path:
    """Run folders: outputs/<notebook>/<label>-<hash>; $IVCORE_OUTPUTS puts them on another disk."""
    return resolve(os.environ.get("IVCORE_OUTPUTS") or "outputs")


def cache() -> Path:
    """What several runs share, such as the rendered shapes; $IVCORE_CACHE moves it."""
    return resolve(os.environ["IVCORE_CACHE"]) if os.environ.get("IVCORE_CACHE") else outputs() / "cache"
