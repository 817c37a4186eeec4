"""The table of contents, read from the notebooks and the run folders themselves, as Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from ivcore.errors import UserError
from ivcore.run import execute as run
from ivcore.run import notebook, provenance
from ivcore.run.spec import Spec, resolving_once


def contents(folder: str = "") -> str:
    """One line a notebook: number, title (a link from `folder`, "" beside the notebooks), claim."""
    lines = ["| notebook | what it claims |", "| --- | --- |"]
    for path in notebook.every():
        link = f"[{notebook.number(path)} · {notebook.title(path)}]({folder}{path.name})"
        lines.append(f"| {link} | {notebook.claim(path)} |")
    return "\n".join(lines)


@resolving_once()
def runs() -> str:
    """One line a notebook and preset: how the run stands and what starts it."""
    lines = ["| notebook | preset | state | to run it |", "| --- | --- | --- | --- |"]
    for path in notebook.every():
        for preset in Spec.of(path).presets():
            state = re.sub(r" \(\S+\)$", "", standing(path, preset)[0])  # without an absolute path at its end
            command = f"`iv run {notebook.number(path)} {preset}`"
            lines.append(f"| {path.stem} | {preset} | {state} | {command} |")
    return "\n".join(lines)


def standing(path: Path, preset: str) -> tuple[str, Path | None]:
    """How the run of a preset stands, as `provenance.state` has it, and its folder; "-" for one that was never started.

    Of a sweep "n of m done", and what is missing for a preset that cannot be run here; both without a folder.
    """
    try:
        folders = [job.folder for job in run.jobs(path, preset)]
    except UserError as error:
        return f"not here: {error}", None
    states = [provenance.state(folder) for folder in folders]
    if len(folders) > 1:
        return f"{states.count('done')} of {len(states)} done", None
    return (states[0], folders[0]) if states[0] else ("-", None)
