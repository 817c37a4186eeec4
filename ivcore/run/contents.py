"""The table of contents as Markdown, read from the notebooks and run folders."""

from __future__ import annotations

import re
from pathlib import Path

from ivcore.errors import UserError
from ivcore.run import execute as run
from ivcore.run import notebook, provenance
from ivcore.run.spec import Spec, resolving_once


def contents(folder: str = "") -> str:
    """One line per notebook: number, title, claim. The title links from `folder`; "" is the notebooks' own folder."""
    lines = ["| notebook | what it claims |", "| --- | --- |"]
    for path in notebook.every():
        link = f"[{notebook.number(path)} · {notebook.title(path)}]({folder}{path.name})"
        lines.append(f"| {link} | {notebook.claim(path)} |")
    return "\n".join(lines)


@resolving_once()
def runs() -> str:
    """One line per notebook and preset: the state of the run and the command that starts it."""
    lines = ["| notebook | preset | state | to run it |", "| --- | --- | --- | --- |"]
    for path in notebook.every():
        for preset in Spec.of(path).presets():
            state = re.sub(r" \(\S+\)$", "", standing(path, preset)[0])  # drops an absolute path at the end
            command = f"`iv run {notebook.number(path)} {preset}`"
            lines.append(f"| {path.stem} | {preset} | {state} | {command} |")
    return "\n".join(lines)


def standing(path: Path, preset: str) -> tuple[str, Path | None]:
    """State of a preset's run (see `provenance.state`, "-" if never started) and its folder.

    For a sweep "n of m done", and for a preset that cannot run here what is missing; both without a folder.
    """
    try:
        folders = [job.folder for job in run.jobs(path, preset)]
    except UserError as error:
        return f"not here: {error}", None
    states = [provenance.state(folder) for folder in folders]
    if len(folders) > 1:
        return f"{states.count('done')} of {len(states)} done", None
    return (states[0], folders[0]) if states[0] else ("-", None)
