"""Executed notebooks without what belongs to one machine, for the book; and as files for readers on GitHub."""

import base64
import json
import shlex
from collections.abc import Iterable
from pathlib import Path

import pictures
from runs import SMALLEST, chosen, facts

from ivcore import paths
from ivcore.run import folder as run_folder
from ivcore.run import notebook
from ivcore.run.report import duration

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
OF_OUR_TIME = ("--wait", "--force")  # options of `iv run` that do not affect results


def content(path: Path, run: Path | None) -> tuple[dict, str]:
    """The executed notebook of the run, or the source without a run; and a sentence with the run, its time and its
    command.
    """
    file = run / "notebook.ipynb" if run else path
    found = json.loads(_without_places(file.read_text(encoding="utf-8")))
    found["metadata"] = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in found["cells"]:
        cell["metadata"] = {"tags": tags} if (tags := notebook.tags(cell)) else {}
    return found, _origin(path, run, found["cells"])


def write(folder: Path, notebooks: Iterable[Path]) -> None:
    """Writes executed copies under their own names; put over notebooks/ on a branch, all their links stay valid.
    Notebooks without a run are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in notebooks:
        if run := chosen(path.stem):
            found, origin = content(path, run)
            found["cells"].insert(1, markdown("of-this-copy", f"*{origin}*"))
            for cell in found["cells"]:
                for output in cell.get("outputs", ()):
                    _make_smaller(output)
            (folder / path.name).write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def markdown(name: str, text: str) -> dict:
    """A Markdown cell."""
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def _make_smaller(output: dict) -> None:
    data = output.get("data", {})
    if "image/png" in data:
        form, picture = pictures.png_or_jpeg(base64.b64decode("".join(data.pop("image/png"))))
        data[form] = base64.b64encode(picture).decode()
        output["metadata"] = {form: output["metadata"].get("image/png", {})}


def _origin(path: Path, run: Path | None, cells: list[dict]) -> str:
    number = notebook.number(path)
    if run is None:
        return f"This notebook has not been run here, so its outputs are missing: `iv run {number} {SMALLEST}`, then `make book`."
    known, metrics, preset = facts(run), run_folder.read_metrics(run), run_folder.label_of(run).rstrip("+")
    when = f", made on {known['began'][:10]}" if known.get("began") else ""
    where = f", {known['device']}, commit {known['commit'] or 'unknown'}" if known.get("device") else ""
    took = duration(metrics.get("wall_seconds", 0))
    sentences = [
        f"Preset **{preset}**{when} by `{_command(known.get('command', ''), number, preset)}` in {took}{where}."
    ]
    if preset == SMALLEST:
        sentences.append(
            f"It shows that everything runs; its scores say nothing. `iv run {number}` takes the notebook's own settings."
        )
    if _code(cells) != _code(notebook.cells(path)):
        sentences.append("Code or parameters of the notebook have changed since.")
    return " ".join(sentences)


def _command(known: str, number: str, preset: str) -> str:
    """The command as people would type it."""
    words = shlex.split(known)
    asked = words[words.index("run") + 1 :] if "run" in words else [number, preset]
    return shlex.join(["iv", "run", *(word for word in asked if word not in OF_OUR_TIME)])


def _code(cells: list[dict]) -> list[str]:
    code = [cell for cell in cells if cell["cell_type"] == "code" and "injected-parameters" not in notebook.tags(cell)]
    return [notebook.source(cell).strip() for cell in code]


def _without_places(text: str) -> str:
    """Text in which the folders of outputs and checkout have the names used in the docs."""
    return text.replace(str(paths.outputs()), "outputs").replace(f"{paths.ROOT}/", "")
