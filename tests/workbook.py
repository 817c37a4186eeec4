"""A throw-away workbook in a temporary folder: notebooks written by a test, run by the real runner."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from ivcore import paths
from ivcore.run import cli
from ivcore.run import folder as run_folder

PARAMETERS = """\
run_dir: str = ""  # chosen by the runner
seed: int = 0  # of every generator; in [0, 2**63)
mask_ratio: float = 0.9  # share of tubelets hidden; in [0, 1)
lr: float = 1e-3  # peak learning rate
sizes: list[int] = [8, 16]  # widths; one or more in [1, inf)
annotations: str = ""  # training clips; file kinetics_csv
mode: str = "fast"  # how to go about it; one of fast, slow, odd
mean: float | None = None  # overrides the measured mean
where: str = "auto"  # on what; device
"""
START = "from ivcore.run import start\nrun = start({name!r}, globals())"
FINISH = "run.finish({'loss': mask_ratio})"


class Workbook:
    """`root` has notebooks/ and params/; `iv(...)` runs the command in this process, `process(...)` in one of its own."""

    def __init__(self, root: Path, monkeypatch):
        self.root = root
        (root / "notebooks").mkdir()
        for name in ("IVCORE_OUTPUTS", "IVCORE_CACHE", "IVCORE_HEADLESS", "IVCORE_RUN_DIR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("IVCORE_BOX", str(root / "box"))  # empty: nothing stands in for a run that is not there
        monkeypatch.setattr(paths, "ROOT", root)

    def notebook(self, name: str, *body: str, parameters: str = PARAMETERS) -> Path:
        """Title, parameters cell, setup cell, then `body`; a text that begins with # and a space is a markdown cell."""
        title = f"# {name.split('_')[0]} · A test\n\n> It shows that notebooks run."
        cells = [title, parameters, START.format(name=name), *body]
        path = self.root / "notebooks" / f"{name}.ipynb"
        path.write_text(json.dumps(as_notebook(cells)))
        return path

    def preset(self, notebook: str, name: str, text: str) -> Path:
        path = self.root / "params" / notebook / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def iv(self, *arguments) -> int:
        return cli.main([str(each) for each in arguments])

    def process(self, *arguments, **settings) -> subprocess.Popen:
        environment = os.environ | {"IVCORE_ROOT": str(self.root), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=environment, cwd=self.root, stdout=pipe, stderr=pipe, text=True, **settings
        )

    def folders(self, notebook: str) -> list[Path]:
        return sorted((self.root / "outputs" / notebook).glob("*"))

    def folder(self, notebook: str) -> Path:
        (only,) = self.folders(notebook)
        return only


def as_notebook(cells: list[str]) -> dict:
    made = []
    for number, text in enumerate(cells):
        markdown = text.startswith("# ") or text.startswith("## ")
        cell = {"cell_type": "markdown" if markdown else "code", "id": f"cell-{number}", "metadata": {}, "source": text}
        if not markdown:
            cell |= {"outputs": [], "execution_count": None}
        made.append(cell)
    made[1]["metadata"] = {"tags": ["parameters"]}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def only_error(book, notebook: str = "10_stage") -> dict:
    """error.json of the only run, which must not look done."""
    folder = book.folder(notebook)
    assert not (folder / "metrics.json").exists()
    assert run_folder.state(folder) == "failed"
    return read(folder / "error.json")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def started(book, preset: str = "tiny"):
    """A run in a process of its own, whose notebook has come as far as writing kernel.json."""
    process = book.process("ivcore.run", "10", preset)
    deadline = time.monotonic() + 60
    while not any((folder / "kernel.json").exists() for folder in book.folders("10_stage")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    return process
