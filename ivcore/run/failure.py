"""Describes a run that did not finish: error.json, exit status, and one hint."""

import errno
import re
import signal
import socket
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

# Exit status by kind of failure, as in shells and batch systems. 2 is an error in the user's input. A kernel ended by a
# signal gives 128 plus the signal's number.
STATUS = {
    "input": 2,
    "failed": 1,
    "unfinished": 1,
    "error": 1,
    "disk": 1,
    "dead kernel": 1,
    "dead rank": 1,
    "hung rank": 1,
    "peer": 1,  # stopped because another rank failed
    "time-out": 124,
    "interrupted": 130,
    "terminated": 143,
}
STOPPED = ("interrupted", "terminated")
_RESUMES = "the next start resumes from the last checkpoint"
# Settings that use memory on the device and in the host, and how to use less; try the first ones first.
_ON_DEVICE = {
    "micro_batch": "lower micro_batch",
    "grad_accum_steps": "raise grad_accum_steps",
    "activation_checkpointing": "activation_checkpointing=full",
    "num_frames": "lower num_frames",
}
_IN_HOST = (
    {"num_workers": "lower num_workers", "in_memory": "in_memory=false"}
    | _ON_DEVICE
    | {"batch_size": "lower batch_size"}
)
_AT_ITS_LEAST = {"num_workers": 0, "in_memory": False, "activation_checkpointing": "full", "micro_batch": 1}
HINTS = {
    "unfinished": "the notebook ended without run.finish(metrics), or left early by sys.exit",
    "disk": "let $IVCORE_OUTPUTS (for a cache $IVCORE_CACHE) name a folder that can be written",
    "dead rank": f"killed from outside, most often for want of memory ({{host}}); {_RESUMES}",
    "hung rank": f"{_RESUMES}; stacks*.txt in the run's folder show where every rank stood; IVCORE_TIMEOUT sets the limit in seconds",
    "time-out": f"{_RESUMES}; --timeout sets the limit in seconds",
    "interrupted": _RESUMES,
    "terminated": _RESUMES,
}
# (pattern in an exception's text, hint); the first match counts.
_SHARED = "data workers share batches in /dev/shm, which is too small here: docker run --shm-size=8g, or num_workers=0"
_HINT_BY_WORDS = (
    (r"bus error|shared memory|/dev/shm|shm_open|<?/torch_\d+", _SHARED),
    (r"(CUDA|HIP|XPU|MPS).* out of memory|OutOfMemoryError", "out of memory on the device: {device}"),
    (r"out of memory|MemoryError|bad_alloc|killed by signal: Killed|allocate memory", "out of memory: {host}"),
    (r"DataLoader worker .* (killed by signal|exited)",
     "a data worker ended: `iv check LIST.csv` names a video that ends whoever reads it"),
    # papermill's error if the kernel sent none for a failed cell
    (r"^CellExecutionError", "the kernel could not say what went wrong, as happens for want of memory: {host}"),
)  # fmt: skip
# Messages of the system, torch and safetensors for a full or unwritable disk.
_DISK = r"No space left|Disk quota|Read-only file system|PermissionError|PytorchStreamWriter failed|file write failed|os error (28|30|122)\b"
_REFUSED = r"Read-only|[Pp]ermission|permitted|PermissionError|[Dd]irectory|exists|too long|device or address"
_WRITING = {getattr(errno, f"E{name}") for name in "ACCES PERM ROFS NOSPC DQUOT NOTDIR EXIST NOENT NAMETOOLONG ISDIR NXIO".split()}  # fmt: skip
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LAST_LINES = 12


@dataclass
class Failure:
    """How a run failed. kind: a key of STATUS. cell: None or {"index", "name"}, counted from 0 as in the notebook's
    JSON. code: exit status of a kernel that ended by itself, or minus the signal's number. memory: advice on using
    less, see less_memory. waits: the cell was waiting for other ranks."""

    kind: str
    exception: str = ""
    message: str = ""
    traceback: list[str] = field(default_factory=list)
    cell: dict | None = None
    code: int | None = None
    memory: dict = field(default_factory=lambda: less_memory(dict.fromkeys(_IN_HOST)))
    waits: bool = False

    @property
    def status(self) -> int:
        return 128 - self.code if self.code is not None and self.code < 0 else STATUS[self.kind]

    @property
    def hint(self) -> str:
        return self._hint().format_map(self.memory)

    def _hint(self) -> str:
        if self.kind == "dead kernel":
            return self._hint_of_dead()
        if self.kind == "disk" and not re.search(_REFUSED, f"{self.exception} {self.message}"):
            return f"free some space there, or {HINTS['disk']}"
        if self.kind in HINTS:
            return HINTS[self.kind]
        text = f"{self.exception} {self.message}"
        return next((hint for words, hint in _HINT_BY_WORDS if re.search(words, text, re.IGNORECASE)), "")

    def _hint_of_dead(self) -> str:
        if self.code == -signal.SIGKILL:
            return "the kernel was killed, most often for want of memory: {host}"
        if self.code == -signal.SIGBUS:
            return _SHARED
        if self.cell is None:
            return "it never ran a cell: `python -m ipykernel_launcher --version` shows whether kernels start here"
        if self.code is not None and self.code >= 0:
            return "something in that cell ended the process; the last lines of log.txt show how far it came"
        return (
            "a library crashed in that cell; the last lines of log.txt show how far it came, and `iv check LIST.csv` names a "
            "video that ends whoever reads it"
        )

    def as_json(self, seconds: float) -> dict:
        import psutil

        when = datetime.now().astimezone().isoformat(timespec="seconds")
        place = {"host": socket.gethostname(), "time": when, "seconds": round(seconds, 1)}
        place["memory_free_gib"] = round(psutil.virtual_memory().available / 2**30, 1)
        told = {name: value for name, value in asdict(self).items() if name not in ("memory", "waits")}
        return told | {"status": self.status, "hint": self.hint} | place

    def lines(self) -> list[str]:
        """Lines for the terminal: one for an error of input or of the disk, else kind, place, last lines and hint."""
        if self.kind == "input":
            return [self.message]
        place = f" in cell {self.cell['index']} ({self.cell['name'] or 'untitled'})" if self.cell else ""
        what = ": ".join(part for part in (self.exception, self.message.split("\n")[0]) if part)
        first = f"{self.kind}{place}" + (f": {what}" if what else "")
        if self.kind == "disk":
            return [f"{first}; {self.hint}"]
        tail = [line for line in self.traceback[:-1] if line.strip()][-6:]
        return [first, *tail, *([self.hint] if self.hint else [])]


def less_memory(values: dict) -> dict[str, str]:
    """Advice for a run with these parameters that lacks memory on its "device" or "host"."""
    return {"device": _less(_ON_DEVICE, values), "host": _less(_IN_HOST, values)}


def _less(ways: dict[str, str], values: dict) -> str:
    able = [name for name in ways if name in values and values[name] != _AT_ITS_LEAST.get(name, "")]
    known = {name: f" (now {values[name]})" if type(values[name]) is int else "" for name in able}
    return " or ".join(ways[name] + known[name] for name in able[:4]) or "choose a smaller model or shorter clips"


def from_cell(exception: str, message: str, traceback: list[str], cell: dict | None) -> Failure:
    """The failure of a cell that raised. A kernel sends only text: a traceback of one line marks an error of input."""
    plain = _COLOUR.sub("", "\n".join(traceback)).splitlines()
    one_line = " ".join(message.split())
    if exception == "KeyboardInterrupt":  # sent to the kernel itself; `iv` reports its own interrupts
        return Failure("interrupted", exception, one_line, cell=cell)
    if plain == [f"{exception}: {one_line}"]:
        kind = "terminated" if exception == "Interrupted" else "input"
        return Failure(kind, exception, one_line, plain[-_LAST_LINES:] if kind == "input" else [], cell)
    text = f"{exception} {message}"
    if re.search(_DISK, text, re.IGNORECASE) and not re.search(_HINT_BY_WORDS[0][0], text, re.IGNORECASE):
        return Failure("disk", exception, one_line, cell=cell)
    return Failure("failed", exception, message, plain[-_LAST_LINES:], cell)


def from_system(error: OSError, cell: dict | None = None, place: str | Path = "") -> Failure:
    """The failure of a system call, with its path; `place` if the error names none."""
    path = f"{error.filename or place}: ".removeprefix(": ")
    kind = "disk" if error.errno in _WRITING else "error"
    return Failure(kind, "", f"{path}{error.strerror or error}".replace("\n", " "), cell=cell)


def dead_kernel(code: int | None, cell: dict | None) -> Failure:
    """The failure of a kernel that ended by itself: by a signal, or with an exit status."""
    if code in (-signal.SIGTERM, -signal.SIGHUP):
        return Failure("terminated", message=f"the kernel got {_name(code)}", cell=cell, code=code)
    if code is None:
        ended = "it did not answer"
    else:
        ended = f"killed by {_name(code)}" if code < 0 else f"it ended by itself with exit status {code}"
    return Failure("dead kernel", message=ended + ("" if cell else ", before its first cell"), cell=cell, code=code)


def _name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
