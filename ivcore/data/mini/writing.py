"""Writes a miniature; its folder appears complete or not at all."""

import difflib
import os
import shutil
from pathlib import Path

from ivcore.data.mini.datasets import DATASETS
from ivcore.errors import ParameterError


def write(name: str, folder) -> Path:
    """Writes the dataset `name` into an empty or new folder and returns the folder. ParameterError for another name or folder; may raise OSError."""
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ParameterError(f"{name!r}: must be one of {', '.join(DATASETS)}{hint}")
    folder = Path(os.path.abspath(folder))
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder}: is a file, must be an empty folder or a new one")
    if folder.is_dir() and any(folder.iterdir()):
        raise ParameterError(f"{folder}: is not empty, must be an empty folder or a new one")
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    scratch.mkdir(parents=True)
    try:
        DATASETS[name].write(scratch)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def listing() -> list[tuple[str, str, str]]:
    """(name, task, files) of each dataset."""
    return [(name, mini.task, mini.files) for name, mini in DATASETS.items()]
