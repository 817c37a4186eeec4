"""A run as another run's input: the values of a parameter whose constraint is `encoder`.

"10/tiny" is notebook 10 at preset tiny, whether it has run yet or not; otherwise a finished run's folder, a checkpoint
file or folder, a published name ("OpenGVLab/…", at most one slash), and "scratch" or "" for random weights.
"""

import os
import re
from contextvars import ContextVar
from pathlib import Path

from ivcore import notebook, params, paths, run_folder
from ivcore.errors import ParameterError, shown

_RUN = re.compile(r"(\d\w*)/([\w-]+)")
_ASKED: ContextVar[tuple] = ContextVar(
    "asked", default=()
)  # the runs whose encoders are being checked, outermost first
_FILES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def named_run(value: str) -> tuple[Path, str] | None:
    """(notebook, preset) of a value such as "10/tiny", None for every other form."""
    match = _RUN.fullmatch(value or "")
    if not match or os.path.exists(paths.resolve(value)):
        return None
    return notebook.find(match[1]), match[2]


def check(name: str, value: str) -> None:
    """ParameterError where the value can already be seen to lead nowhere, or back to itself."""
    if value in ("", "scratch"):
        return
    try:
        found = named_run(value)
        if found:
            return _check_run(*found)
        path = paths.resolve(value)
        looked = " or ".join(map(str, paths.candidates(value)))
    except ParameterError as error:
        raise ParameterError(f"{name} = {shown(value)}: {error}") from None
    if not path.exists() and _looks_like_path(value):
        raise ParameterError(f"{name} = {shown(value)}: there is no such file or folder, looked for {looked}")
    if run_folder.is_one(path) and not run_folder.is_done(path):
        raise ParameterError(f"{name} = {shown(value)}: that run is not finished (no metrics.json in it)")


def _check_run(path: Path, preset: str) -> None:
    """That the preset of an upstream run is right, and that none of the runs it starts from is the one being asked about."""
    asked = _ASKED.get()
    if (path, preset) in asked:
        loop = " → ".join(f"{notebook.number(path)}/{preset}" for path, preset in [*asked, (path, preset)])
        raise ParameterError(f"it starts from itself ({loop})")
    token = _ASKED.set((*asked, (path, preset)))
    try:
        params.resolve(path, preset)
    finally:
        _ASKED.reset(token)


def _looks_like_path(value: str) -> bool:
    return value.endswith(_FILES) or value.startswith(("/", ".", "~")) or value.count("/") > 1


def pin(value: str | None) -> str | None:
    """The run folder that "10/tiny" stands for, relative to the project root; other values as they are."""
    found = named_run(value)
    if not found:
        return value
    path, preset = found
    return paths.short(run_folder.locate(path, params.resolve(path, preset), preset))


def identity(value: str | None) -> str | None:
    """What of an encoder's value tells runs apart: of a run folder its notebook and hash, not its place or label."""
    pinned = pin(value)
    path = Path(pinned or "")
    match = re.search(r"-([0-9a-f]{8})$", path.name)
    return f"{path.parent.name}/{match[1]}" if match else pinned
