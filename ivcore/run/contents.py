"""The table of contents, read from the notebooks and the run folders themselves, as Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from ivcore.errors import UserError
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run import notebook
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
            command = f"`iv run {notebook.number(path)} {preset}`"
            lines.append(f"| {path.stem} | {preset} | {state(path, preset)} | {command} |")
    return "\n".join(lines)


def state(path: Path, preset: str) -> str:
    """done, running, failed, part, "-" for never started, "n of m done" for a sweep, or what is missing for it here."""
    try:
        states = [run_folder.state(job.folder) for job in run.jobs(path, preset)]
    except UserError as error:
        return "not here: " + re.sub(r" \(\S+\)$", "", str(error))  # without the absolute path at its end
    return f"{states.count('done')} of {len(states)} done" if len(states) > 1 else states[0] or "-"
