"""One notebook through papermill in a kernel of its own, which is gone when this returns, whatever happened.

papermill runs in a thread, so that the main thread can watch the clock and the signals and kill the kernel at once:
asked from inside its own event loop it would not answer while a cell runs. Kernels talk over Unix sockets with a
private connection file each: over TCP some are lost when many start at the same time.
"""

import logging
import os
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path

from ivcore import failure, notebook, paths
from ivcore.failure import Failure

_LONGEST_SOCKET_FOLDER = 60  # Unix socket paths end at about 100 characters
_GRACE = (
    15  # seconds for a cell to end after an interrupt; batch systems follow SIGTERM with SIGKILL after 30
)
_PATIENCE = 20  # seconds for papermill to notice that its kernel is gone


class Execution:
    """papermill at work in a thread on a notebook that it fills with outputs; `run` returns None, or what went wrong."""

    def __init__(self, copy: Path, values: dict, log, silent: bool = False):
        self.copy, self.values = copy, values
        self.cells = notebook.cells(copy)
        self.stream = Stream(log, silent)
        self.cell: dict | None = None
        self.heading = ""
        self.error: BaseException | None = None
        self.sockets = Path()
        self.pids: set[int] = set()

    def run(self, timeout: float | None = None) -> Failure | None:
        with _short_folder() as self.sockets, _signals() as received:
            thread = threading.Thread(target=self._execute, daemon=True)
            thread.start()
            stopped = _wait(thread, received, timeout)
            if stopped:
                self._interrupt(thread, received)
            self._end(thread)
        if stopped:
            return Failure(stopped, cell=self.cell)
        return self._explain(self.error) if self.error else None

    def _execute(self) -> None:
        try:
            self._papermill()
        except BaseException as error:
            self.error = error

    def _papermill(self) -> None:
        import papermill
        from traitlets.config import Config

        logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it says is said once, by the failure
        connection = {"transport": "ipc", "connection_file": str(self.sockets / "kernel.json")}
        papermill.execute_notebook(
            self.copy,
            self.copy,
            self.values,
            kernel_name="python3",
            cwd=paths.ROOT,
            progress_bar=False,
            stdout_file=self.stream,
            stderr_file=self.stream,
            start_timeout=300,
            autosave_cell_every=60,
            # What follows goes to nbclient.
            config=Config({"KernelManager": connection}),
            coalesce_streams=True,
            iopub_timeout=60,
            # A kernel is interrupted when it is shut down, and would log that as an error on the terminal.
            extra_arguments=["--log-level=CRITICAL"],
            on_cell_execute=self._on_cell,
        )

    def _on_cell(self, cell, cell_index: int) -> None:
        ids = [each.get("id") for each in self.cells]
        index = ids.index(cell["id"]) if cell.get("id") in ids else min(cell_index, len(ids) - 1)
        self.cell = {"index": index, "name": notebook.cell_name(self.cells, index)}
        self.pids.update(self._find_kernels())
        if self.cell["name"] != self.heading:
            self.heading = self.cell["name"]
            self.stream.write(f"── {self.heading}\n")
            self.stream.flush()

    def _interrupt(self, thread: threading.Thread, received: list[str]) -> None:
        """Lets the cell end by itself for a moment: training then writes a last checkpoint. A second signal ends that."""
        signals, deadline = len(received), time.monotonic() + _GRACE
        for pid in self._find_kernels():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        while thread.is_alive() and time.monotonic() < deadline and len(received) == signals:
            thread.join(0.1)

    def _end(self, thread: threading.Thread) -> None:
        """No process is left behind: neither the kernel nor what it started, such as the workers of a loader."""
        deadline = time.monotonic() + _PATIENCE
        while thread.is_alive() and time.monotonic() < deadline:
            self._kill()
            thread.join(0.2)
        self._kill()

    def _kill(self) -> None:
        self.pids.update(self._find_kernels())
        for pid in self.pids:  # a kernel leads a process group of its own
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _find_kernels(self) -> list[int]:
        import psutil

        mine = str(self.sockets)
        found = []
        for process in psutil.Process().children():
            with suppress(psutil.Error):
                if any(mine in word for word in process.cmdline()):
                    found.append(process.pid)
        return found

    def _explain(self, error: BaseException) -> Failure:
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        if isinstance(error, PapermillExecutionError):
            return failure.from_cell(error.ename, error.evalue, error.traceback, self.cell)
        if isinstance(error, DeadKernelError) or "Kernel died" in str(error):
            return Failure("dead kernel", type(error).__name__, str(error), cell=self.cell)
        lines = "".join(traceback.format_exception(error)).splitlines()
        return Failure("error", type(error).__name__, str(error), lines[-12:], self.cell)


class Stream:
    """What the notebook prints, on the terminal as it comes (unless `silent`) and in log.txt without the redrawing of progress bars."""

    def __init__(self, log, silent: bool = False):
        self.log, self.silent = log, silent

    def write(self, text: str) -> None:
        if not self.silent:
            sys.stdout.write(text)
        self.log.write(re.sub(r"[^\n]*\r(?!\n)", "", text))

    def flush(self) -> None:
        sys.stdout.flush()
        self.log.flush()


@contextmanager
def _short_folder():
    base = tempfile.gettempdir()
    base = base if len(base) < _LONGEST_SOCKET_FOLDER else "/tmp"
    with tempfile.TemporaryDirectory(prefix="iv-", dir=base, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _signals():
    """Collects the names of the signals that ask for an end, in place of dying from them; the main thread alone may."""
    received: list[str] = []
    names = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "terminated"}
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.signal(number, lambda n, _: received.append(names[n])) for number in names}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(thread: threading.Thread, received: list[str], timeout: float | None) -> str:
    """Why the run has to stop: a key of failure.STATUS, "" when it has ended by itself."""
    deadline = time.monotonic() + timeout if timeout else float("inf")
    while thread.is_alive():
        if received:
            return received[0]
        if time.monotonic() > deadline:
            return "time-out"
        thread.join(0.1)
    return ""
