"""A run as another run's input: the values of a parameter whose constraint is `encoder`.

"10/tiny" is notebook 10 at preset tiny, "10/tiny:seed=1,epochs=4" the same with other parameters (`iv run 10 tiny -p seed=1 -p epochs=4`),
whether it has run yet or not; otherwise a finished run's folder, a checkpoint file or folder, a published name ("OpenGVLab/…", at most
one slash), and "scratch" or "" for random weights.
"""

import os
import re
from contextvars import ContextVar
from pathlib import Path

from ivcore import paths
from ivcore.errors import ParameterError, UserError, shown
from ivcore.run import encoder_kinds, notebook
from ivcore.run import presets as params
from ivcore.run import session as run_folder
from ivcore.run.contradictions import SCRATCH

_RUN = re.compile(r"(\d\w*)/([\w-]+)(:.*)?")
_ASKED: ContextVar[tuple] = ContextVar(
    "asked", default=()
)  # the runs whose encoders are being checked, outermost first
_FILES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def named_run(value: str) -> tuple[Path, str, dict[str, str]] | None:
    """(notebook, preset, overrides) of a value such as "10/tiny" or "10/tiny:seed=1", None for every other form."""
    match = _RUN.fullmatch(value or "")
    if not match or os.path.exists(paths.resolve(value)):
        return None
    return notebook.find(match[1]), match[2], _overrides(match[3])


def _overrides(text: str | None) -> dict[str, str]:
    """ ":seed=1,sizes=[8, 16]" -> {"seed": "1", "sizes": "[8, 16]"}: a comma separates where a name and = follow."""
    pairs = [pair.partition("=") for pair in re.split(r",(?=\s*\w+\s*=)", text[1:])] if text else []
    if wrong := [name for name, equals, _ in pairs if not (equals and name.strip())]:
        raise ParameterError(f"{shown(wrong[0])}: expected NAME=VALUE after the colon, as in 12/tiny:seed=1")
    return {name.strip(): value.strip() for name, _, value in pairs}


def name_of(path: Path, preset: str, overrides: dict) -> str:
    """As people write it: "10/tiny:seed=1"."""
    changed = ",".join(f"{name}={value}" for name, value in overrides.items())
    return f"{notebook.number(path)}/{preset}" + (f":{changed}" if changed else "")


def check(name: str, value: str, allowed: tuple[str, ...] = ()) -> None:
    """ParameterError where the value can already be seen to lead nowhere, back to itself, or to none of the `allowed` kinds of encoder."""
    try:
        found = held(value) if allowed else _led_to(value)
    except UserError as error:
        raise ParameterError(f"{name} = {shown(value)}: {error}") from None
    except OSError as error:
        raise ParameterError(f"{name} = {shown(value)}: cannot be read: {error.strerror}") from None
    if allowed:
        encoder_kinds.check(name, value, allowed, found)


def held(value: str) -> encoder_kinds.Held | None:
    """What the value holds; None for scratch and for what would have to be fetched. UserError where it leads nowhere or does not load."""
    run, place = _led_to(value)
    if run:
        return encoder_kinds.of_run(*run)
    return encoder_kinds.of_place(place) if place else None


def _led_to(value: str) -> tuple[tuple[Path, dict] | None, Path | None]:
    """(notebook, values) of a run that is named, and the place where there is one."""
    if value in SCRATCH:
        return None, None
    if found := named_run(value):
        return (found[0], _values_of(*found)), None
    path = paths.resolve(value)
    if not path.exists() and _looks_like_path(value):
        looked = " or ".join(map(str, paths.candidates(value)))
        raise ParameterError(f"there is no such file or folder, looked for {looked}")
    if run_folder.is_one(path) and not run_folder.is_done(path):
        raise ParameterError("that run is not finished (no metrics.json in it)")
    return None, path if path.exists() else None


def _values_of(path: Path, preset: str, overrides: dict) -> dict:
    """The parameters of an upstream run, none of whose own encoders may be the run that is asked about."""
    asked, this = _ASKED.get(), name_of(path, preset, overrides)
    if this in asked:
        raise ParameterError(f"it starts from itself ({' → '.join([*asked, this])})")
    token = _ASKED.set((*asked, this))
    try:
        return params.one(path, preset, overrides)
    finally:
        _ASKED.reset(token)


def _looks_like_path(value: str) -> bool:
    return value.endswith(_FILES) or value.startswith(("/", ".", "~")) or value.count("/") > 1


def pin(value: str | None) -> str | None:
    """The run folder that "10/tiny" stands for, relative to the project root; other values as they are."""
    found = named_run(value)
    if not found:
        return value
    path, preset, overrides = found
    values = params.resolve(path, preset, overrides)
    return paths.short(run_folder.locate(path, values, params.label(path, preset, values, overrides)))


def identity(value: str | None) -> str | None:
    """What of an encoder's value tells runs apart: of a run folder its notebook and hash, not its place or label."""
    pinned = pin(value)
    path = Path(pinned or "")
    match = re.search(r"-([0-9a-f]{8})$", path.name)
    return f"{path.parent.name}/{match[1]}" if match else pinned
