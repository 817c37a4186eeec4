"""From what a user writes after --model to what `weights.load` takes: a run that is finished, a folder, a file, or a name."""

from __future__ import annotations

import os
import shlex

from ivcore import paths
from ivcore.errors import ParameterError, shown
from ivcore.run import folder as run_folder
from ivcore.run import spec
from ivcore.run.spec import Reference

LABELS, CLASSES = "ivcore/small-multimodal", "ivcore/small-coordinated"  # of the box: with labels, and without


def find(value: str) -> str:
    """ParameterError where a run is named that is not finished, and where nothing is there; a published name is not looked up yet."""
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
        spec.held(value)  # says what is wrong with it
    except ParameterError as error:
        raise ParameterError(f"model = {shown(value)}: {error}") from None
    return value
