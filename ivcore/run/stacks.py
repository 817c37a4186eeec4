"""Stacks of a kernel that hangs. The kernel writes them on request, also while it computes or waits in C++."""

import faulthandler
import os
import re
import signal
import threading
import time
from pathlib import Path

FILE = "IVCORE_STACKS"
_WAIT = 2.0  # seconds; a process that is stopped, or waits for a disk, does not answer
_FRAME = re.compile(r'File "(.*)", line (\d+) in (.*)')
_CELL = re.compile(r"ipykernel_\d+[/\\]")
# A backward pass waits for the gradients of other ranks.
_WAITS = re.compile(r"torch/(nn/parallel/)?distributed|deepspeed/comm|torch/autograd/graph")
_open: list = []


def answer() -> None:
    """Called in a kernel of `iv run`: SIGUSR2 makes it write its stacks to the file in $IVCORE_STACKS. SIGUSR1, the
    request for a checkpoint, is ignored outside training."""
    if (path := os.environ.get(FILE)) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        _open.append(open(path, "w", encoding="utf-8"))  # noqa: SIM115  for as long as the kernel lives
        faulthandler.register(signal.SIGUSR2, file=_open[-1], all_threads=True)


def ask(kernel, path: Path) -> str:
    """Called in `iv run`: returns the kernel's stacks as faulthandler writes them; "" without an answer."""
    before = _text(path)
    if not kernel.signal(signal.SIGUSR2):
        return ""
    deadline, text = time.monotonic() + _WAIT, before
    while time.monotonic() < deadline and (text == before or text != _text(path)):
        text = _text(path)
        time.sleep(0.1)
    return text[len(before) :]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def main_thread(text: str) -> list[tuple[str, int, str]]:
    """Frames (file, line, function) of the main thread, innermost first. faulthandler writes that thread last."""
    block = text.split("thread 0x")[-1].split("Thread 0x")[-1]
    return [(file, int(line), name) for file, line, name in _FRAME.findall(block)]


def is_waiting(frames: list[tuple[str, int, str]]) -> bool:
    """True if the thread waits for other ranks. Outer frames do not tell: all loss code is inside a forward pass."""
    return any(_WAITS.search(file) for file, _, _ in frames[:2])


def place(frames: list[tuple[str, int, str]]) -> str:
    """The current line of the cell and of the innermost code: "line 4, in ivcore/train/loop.py line 190 (train)"."""
    cell = next((f"line {line}" for file, line, _ in frames if _CELL.search(file)), "")
    inner = frames[0] if frames and not _CELL.search(frames[0][0]) else None
    inside = f"{'/'.join(Path(inner[0]).parts[-3:])} line {inner[1]} ({inner[2]})" if inner else ""
    return ", in ".join(filter(None, (cell, inside)))
