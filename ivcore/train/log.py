"""train.jsonl: one JSON object a line, each with the step it was written after. A resumed run drops the lines its checkpoint does not cover."""

import json
import os
from pathlib import Path

from ivcore.files import write_text


class Journal:
    """The lines up to and including `step`; later ones, and a last line cut short by a kill, are removed from the file.

    write=False reads the file and then keeps the lines to itself: for the ranks that another one writes for.
    """

    def __init__(self, path: Path, step: int = 0, write: bool = True):
        self.path = Path(path)
        self.records = _readable(self.path, step) if step else []
        self.file = None
        if write:
            self._begin()

    def _begin(self) -> None:
        text = "".join(json.dumps(record) + "\n" for record in self.records)
        write_text(self.path, text)
        self.file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115  closed by close()

    def write(self, record: dict) -> None:
        self.records.append(record)
        if self.file:
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()

    def sync(self) -> None:
        """Make sure the disk has it all, before a checkpoint says so."""
        if self.file:
            os.fsync(self.file.fileno())

    def close(self) -> None:
        if self.file:
            self.file.close()


def _readable(path: Path, step: int) -> list[dict]:
    """Records of steps up to `step`; stops at the first line that is not JSON."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            record = json.loads(line)
        except ValueError:
            break
        if record["step"] <= step:
            records.append(record)
    return records
