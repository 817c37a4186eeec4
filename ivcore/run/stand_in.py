"""The box's models in the place of runs that are not there, so that a notebook runs alone.

A run that starts from one names it among its parameters, as if it had been asked for (`-p encoder=ivcore/small-masked`). So it has a folder
of its own, and goes stale with a new box.
"""

from __future__ import annotations

from ivcore.errors import UserError
from ivcore.run import folder as run_folder
from ivcore.run.spec import Reference, Spec


def stand_in(spec: Spec, values: dict) -> dict[str, str]:
    """Parameter -> name of the model that can stand in for the run that it names. Values as `Spec.check` gives them.

    A run that is there is used, and so is nothing in the place of one with parameters of its own ("10/tiny:seed=1"): who asks for those
    means them. {} where the run of these values is done, or the box has no model of that kind.
    """
    named = {n: each for n, each in spec.references(values).items() if not each.overrides and not _is_there(each)}
    if not named or run_folder.is_done(spec.folder(spec.pin(values))):
        return {}
    found = {name: _model(reference) for name, reference in named.items()}
    return {name: model for name, model in found.items() if model}


def told(spec: Spec, values: dict, models: dict[str, str]) -> str:
    """A line for each of them: what stands in for what, and how the real one is made."""
    named = spec.references(values)
    lines = (_line(named[name], model) for name, model in models.items())
    return "\n".join(dict.fromkeys(lines))


def _line(reference: Reference, model: str) -> str:
    lacks = "not finished" if run_folder.state(reference.folder) else "not run"
    made = f"iv run {reference.spec.number} {reference.preset}"
    return f"{reference} has {lacks}: {model} from the box stands in; `{made}` makes it"


def _is_there(reference: Reference) -> bool:
    return run_folder.is_done(reference.folder)


def _model(reference: Reference) -> str | None:
    from ivcore.weights import box

    try:
        holds = reference.holds
    except (UserError, KeyError):  # its own encoder leads nowhere, or a notebook with this number that is not ours
        return None
    name = f"{box.OWNER}{box.MODELS.get(holds.kind if holds else '')}"
    return name if name in box.names() else None
