"""train.jsonl: one JSON object per line, with the step it follows. Resuming drops lines after the checkpoint."""

import json
import os
from pathlib import Path

import torch

from ivcore import distributed
from ivcore.files import write_text


class Log:
    """Keeps the lines up to `step`, inclusive; removes later ones, and a last line cut short by a kill, from the file.

    write=False only reads the file and keeps new lines in memory: for all ranks but 0.
    """

    def __init__(self, path: Path, step: int = 0, write: bool = True):
        self.records = _readable(path, step) if step else []
        self.file = None
        if write:
            for left in path.parent.glob(f".{path.name}.*.tmp"):  # left by a process killed while writing
                left.unlink(missing_ok=True)
            write_text(path, "".join(json.dumps(record) + "\n" for record in self.records))
            self.file = open(path, "a", encoding="utf-8")  # noqa: SIM115  closed by close()

    def write(self, record: dict) -> None:
        self.records.append(record)
        if self.file:
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()

    def sync(self) -> None:
        """Syncs the file to disk; called before a checkpoint."""
        if self.file:
            os.fsync(self.file.fileno())

    def close(self) -> None:
        if self.file:
            self.file.close()


def _readable(path: Path, step: int) -> list[dict]:
    """Records up to `step`. Stops at the first line that is not JSON."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            record = json.loads(line)
        except ValueError:
            break
        if record["step"] <= step:
            records.append(record)
    return records


# ---- numbers of steps


def add(row: dict, numbers: dict, share: float = 1) -> None:
    """Adds a micro-batch's numbers to the step's `row`, weighted by its share of the clips, without gradients."""
    for name, value in numbers.items():
        value = value.detach() if isinstance(value, torch.Tensor) else value
        row[name] = value if share == 1 else row.get(name, 0.0) + value * share


def fetch(rows: list[dict], device: torch.device) -> list[dict]:
    """Rows of scalars, perhaps on the device -> rows of floats, averaged over ranks. Waits for the device once."""
    if not rows:
        return []
    scalars = [
        torch.as_tensor(value, device=device, dtype=torch.float64).reshape(()) for row in rows for value in row.values()
    ]
    values = iter(distributed.mean(torch.stack(scalars).cpu()).tolist())
    return [{name: next(values) for name in row} for row in rows]


def means(rows: list[dict]) -> dict:
    """Name -> mean over the rows that have it."""
    columns: dict[str, list] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in columns.items()}
