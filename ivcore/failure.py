"""What is left of a run that did not finish: error.json, an exit status, and one hint."""

import re
import socket
from dataclasses import asdict, dataclass, field
from datetime import datetime

import psutil

# Exit status by kind of failure, as shells and batch systems know them. 2 is an error in what the user gave.
STATUS = {
    "input": 2,
    "failed": 1,
    "unfinished": 1,
    "error": 1,
    "dead kernel": 137,
    "time-out": 124,
    "interrupted": 130,
    "terminated": 143,
}
HINTS = {
    "dead kernel": "the kernel was killed, most often for want of memory: lower batch_size, num_workers or num_frames",
    "unfinished": "the notebook ended without run.finish(metrics), or left early by sys.exit",
    "time-out": "the next start resumes from the last checkpoint; --timeout sets the limit in seconds",
    "interrupted": "the next start resumes from the last checkpoint",
    "terminated": "the next start resumes from the last checkpoint",
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LAST_LINES = 12


@dataclass
class Failure:
    """`kind` is a key of STATUS; `cell` is None or {"index", "name"}, counted from 0 as in the notebook's JSON."""

    kind: str
    exception: str = ""
    message: str = ""
    traceback: list[str] = field(default_factory=list)
    cell: dict | None = None

    @property
    def status(self) -> int:
        return STATUS[self.kind]

    @property
    def hint(self) -> str:
        if re.search(
            r"out of memory|MemoryError|bad_alloc|killed by signal",
            f"{self.exception} {self.message}",
            re.IGNORECASE,
        ):
            return "out of memory: lower batch_size, num_frames or num_workers"
        return HINTS.get(self.kind, "")

    def as_json(self, seconds: float) -> dict:
        when = datetime.now().astimezone().isoformat(timespec="seconds")
        place = {"host": socket.gethostname(), "time": when, "seconds": round(seconds, 1)}
        place["memory_free_gib"] = round(psutil.virtual_memory().available / 2**30, 1)
        return asdict(self) | {"status": self.status, "hint": self.hint} | place

    def lines(self) -> list[str]:
        """What the terminal shows: one line for an error of input, else kind, place, last lines and hint."""
        if self.kind == "input":
            return [self.message]
        place = f" in cell {self.cell['index']} ({self.cell['name'] or 'untitled'})" if self.cell else ""
        what = ": ".join(part for part in (self.exception, self.message.split("\n")[0]) if part)
        tail = [line for line in self.traceback[:-1] if line.strip()][-6:]
        return [
            f"{self.kind}{place}" + (f": {what}" if what else ""),
            *tail,
            *([self.hint] if self.hint else []),
        ]


def from_cell(exception: str, message: str, traceback: list[str], cell: dict) -> Failure:
    """A cell that raised. Only text comes out of a kernel: an error of input is one whose traceback is its own line."""
    plain = _COLOUR.sub("", "\n".join(traceback)).splitlines()
    kind = "input" if plain == [f"{exception}: {' '.join(message.split())}"] else "failed"
    return Failure(
        kind, exception, " ".join(message.split()) if kind == "input" else message, plain[-_LAST_LINES:], cell
    )
