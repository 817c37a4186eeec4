"""Which finished run the book shows for each notebook, and which runs are still missing.

python docs/book/runs.py     prints the missing ones as "20 quick;21 quick", the form that workflow/Snakefile takes
"""

import json
from pathlib import Path

from ivcore.run import board, notebook
from ivcore.run import folder as run_folder

SMALLEST = "quick"  # run if there is no run yet
OWN = "tiny"  # the measured run of a notebook


def chosen(stem: str) -> Path | None:
    """The run whose executed copy is shown: of `tiny`, otherwise the latest of another preset, otherwise of `quick`;
    None if there is none.

    Runs of an unchanged preset come before runs with changed parameters.
    """
    there = [folder for folder in board.folders(stem) if run_folder.is_done(folder) and _copy(folder).is_file()]
    return max(there, key=_preference, default=None)


def _copy(folder: Path) -> Path:
    return folder / "notebook.ipynb"


def _preference(folder: Path) -> tuple:
    label = run_folder.label_of(folder)
    preset = label.rstrip("+")
    return (preset != SMALLEST, preset == label, preset == OWN, facts(folder).get("began", ""), folder.name)


def facts(folder: Path) -> dict:
    """Machine, commit, time and command from the run's env.json; {} if it cannot be read."""
    try:
        return json.loads((folder / "env.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def missing() -> list[str]:
    """ "20 quick" for each notebook without a run to show; the leaderboard, which reads the others, only if no other is
    missing.
    """
    numbers = [notebook.number(path) for path in notebook.every() if chosen(path.stem) is None]
    return [f"{number} {SMALLEST}" for number in [n for n in numbers if n != "90"] or numbers]


if __name__ == "__main__":
    print(";".join(missing()))
