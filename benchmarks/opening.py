"""Every notebook on a fresh installation: opened alone and run from top to bottom, with nothing rendered and no earlier
run.

Each is executed in its own kernel, in the notebooks' folder as in JupyterLab, with its parameters cell unchanged and
with empty folders for outputs and cache. Clock and processor seconds are counted from the start of the kernel: until
the first picture is shown, and until the last cell has finished.

    python benchmarks/opening.py                 all, as a table
    python benchmarks/opening.py 10 11 --keep shown --out opening.json
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from ivcore.run import notebook


class Opened(NotebookClient):
    """A notebook in its kernel. `spent()`: time so far; `picture`: time at the first picture."""

    picture: tuple[float, float] | None = None
    pid, began = 0, 0.0

    def spent(self) -> tuple[float, float]:
        """Clock and processor seconds so far."""
        if not self.pid:
            return 0.0, 0.0
        kernel = psutil.Process(self.pid)
        times = [sum(kernel.cpu_times()[:4])] + [
            sum(child.cpu_times()[:4]) for child in kernel.children(recursive=True)
        ]
        return time.monotonic() - self.began, sum(times)

    def output(self, outs, msg, display_id, cell_index):
        data = msg["content"].get("data", {})
        if self.picture is None and any(kind.startswith("image/") or "<img" in str(data[kind]) for kind in data):
            self.picture = self.spent()
        return super().output(outs, msg, display_id, cell_index)

    def run(self) -> dict:
        """Runs the notebook once: seconds, and the slowest cells as (seconds, number)."""
        error, last = "", (0.0, 0.0)
        self.began, cells = time.monotonic(), []
        with self.setup_kernel():
            self.pid = self.km.provisioner.pid
            for number, cell in enumerate(self.nb.cells):
                before = self.spent()
                try:
                    self.execute_cell(cell, number)
                except CellExecutionError as failed:
                    error = f"cell {number}: {str(failed).strip().splitlines()[-1]}"
                    break
                last = self.spent()
                cells.append((round(last[1] - before[1], 1), number))
        clock, processor = last
        first = self.picture or (None, None)
        return {"clock": clock, "processor": processor, "picture_clock": first[0], "picture_processor": first[1],
                "slowest": sorted(cells, reverse=True)[:4], "error": error}  # fmt: skip


def opened(path: Path, keep: Path | None, cache: Path | None) -> dict:
    """Cost of opening one notebook. keep: a folder for the executed copy and the run's folder; cache: a folder of
    rendered videos, by default an empty one.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = keep / path.stem if keep else Path(folder)
        os.environ |= {"IVCORE_OUTPUTS": str(home / "outputs"), "IVCORE_CACHE": str(cache or Path(folder, "cache"))}
        nb = nbformat.read(path, 4)
        row = Opened(nb, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).run()
        if keep:
            nbformat.write(nb, home / path.name)
    return {"notebook": path.stem} | row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="numbers (all)")
    parser.add_argument("--keep", type=Path, help="a folder for the executed copies and their runs")
    parser.add_argument(
        "--cache",
        type=Path,
        help="a folder for rendered videos that notebooks share, in the place of an empty one for each",
    )
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    paths = [notebook.find(number) for number in options.notebooks] or notebook.every()
    print(
        "| notebook | first picture, processor s | all, processor s | all, by the clock |",
        "| --- | --- | --- | --- |",
        sep="\n",
    )
    rows = []
    for path in paths:
        rows.append(
            row := opened(path, options.keep and options.keep.absolute(), options.cache and options.cache.absolute())
        )
        first = "none" if row["picture_processor"] is None else f"{row['picture_processor']:.0f}"
        slow = ", ".join(f"{seconds:.0f} s in cell {number}" for seconds, number in row["slowest"])
        print(
            f"| {path.stem[:2]} | {first} | {row['processor']:.0f} | {row['clock']:.0f} | {row['error']} <!-- {slow} -->",
            flush=True,
        )
        if options.out:
            options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
