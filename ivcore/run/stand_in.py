"""Replaces missing runs of encoders by models of the box, so that a notebook runs alone.

Such a run has the model among its parameters, as if the user had given it (`-p encoder=ivcore/small-masked`). It
therefore has its own folder, and becomes stale with a new box.
"""

from __future__ import annotations

from ivcore.errors import UserError
from ivcore.run import folder as run_folder
from ivcore.run.spec import Reference, Spec


def stand_in(spec: Spec, values: dict) -> dict[str, str]:
    """{parameter: model of the box that replaces its missing run}. Values as `Spec.check` returns them.

    Runs with changed parameters ("10/tiny:seed=1") are not replaced, because the user asked for these. {} if the run of
    these values is done, or the box has no model of that kind.
    """
    named = {n: each for n, each in spec.references(values).items() if not each.overrides and not _is_there(each)}
    if not named or run_folder.is_done(spec.folder(spec.pin(values))):
        return {}
    found = {name: _model(reference) for name, reference in named.items()}
    return {name: model for name, model in found.items() if model}


def told(spec: Spec, values: dict, models: dict[str, str]) -> str:
    """A line for each model: which run it replaces, and the command that makes that run."""
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
    except (UserError, KeyError):  # its own encoder does not exist, or the user's own notebook has this number
        return None
    name = f"{box.OWNER}{box.MODELS.get(holds.kind if holds else '')}"
    return name if name in box.names() else None
