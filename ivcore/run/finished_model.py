"""Converts the value of --model (a finished run, a folder, a file or a name) to one for `weights.load`."""

from __future__ import annotations

import os
import shlex

from ivcore import paths
from ivcore.errors import ParameterError, shown
from ivcore.run import folder as run_folder
from ivcore.run import spec
from ivcore.run.spec import Reference

LABELS, CLASSES = "ivcore/small-multimodal", "ivcore/small-coordinated"  # default models: with and without labels


def find(value: str) -> str:
    """Value for `weights.load`. ParameterError for an unfinished run or missing path. Published names pass."""
    if reference := Reference.of(value):
        folder = reference.folder
        if not run_folder.is_done(folder):
            made = shlex.join(["iv", "run", reference.spec.number, *reference.arguments[1:]])
            state = "not finished" if folder.exists() else "not run yet"
            raise ParameterError(f"model = {shown(value)}: {state}, `{made}` makes it")
        return str(folder)
    if there := next(filter(os.path.exists, map(str, paths.candidates(value))), None):
        return there
    try:
        spec.held(value)  # raises an error that says what is wrong
    except ParameterError as error:
        raise ParameterError(f"model = {shown(value)}: {error}") from None
    return value
