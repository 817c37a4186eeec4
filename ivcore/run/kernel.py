"""Executes one notebook with papermill in a separate kernel. The kernel is always ended before this returns.

papermill runs in a thread, so that the main thread can watch the clock and signals and kill the kernel at once. Inside
papermill's event loop this would wait for the end of a cell.
"""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from ivcore import paths
from ivcore.run import failure, notebook, stacks
from ivcore.run.failure import Failure
from ivcore.signals import Requests

_GRACE = 15  # seconds for a cell to end after an interrupt; batch systems follow SIGTERM with SIGKILL after 30
_LEFT = 3  # the same if another rank has failed: a cell that waits for it never ends
_AGAIN = 3  # seconds until a cell that still runs is interrupted again
_PATIENCE = 20  # seconds for papermill to notice that its kernel is gone


class Execution:
    """Runs papermill in a thread, which writes outputs into the notebook `copy`. `run` returns None or a Failure."""

    def __init__(self, copy: Path, values: dict, log, silent: bool = False):
        self.copy, self.values = copy, values
        self.cells = notebook.cells(copy)
        self.stream = Stream(log, silent)
        self.cell: dict | None = None
        self.heading = ""
        self.error: BaseException | None = None
        self.code: int | None = None
        self.stacks = ""

    def run(self, received: Requests, timeout: float | None = None, peers=None) -> Failure | None:
        """Executes the notebook. timeout: seconds. received: the list of signals.stop_requests. peers: the ranks.

        After a stop request no other cell begins, and the current one may write a last checkpoint. After a time-out, or
        a failure of another rank, `stacks` holds the stacks of the kernel.
        """
        if received:
            return Failure(received[0])
        from ivcore.run.kernel_process import KernelProcess, folder_for_sockets  # takes a second

        with folder_for_sockets() as sockets:
            self.kernel = KernelProcess(sockets)
            os.environ[stacks.FILE] = str(sockets / "stacks.txt")  # the kernel inherits it
            thread = threading.Thread(target=self._execute, daemon=True)
            thread.start()
            stopped = self._wait(thread, received, timeout, peers)
            if stopped in ("time-out", "peer"):
                self.stacks = stacks.ask(self.kernel, sockets / "stacks.txt")
            if stopped:
                self._interrupt(thread, received, _LEFT if stopped == "peer" else _GRACE)
            self.code = self.kernel.code()
            self._end(thread)
            os.environ.pop(stacks.FILE, None)
        if stopped:
            frames = stacks.main_thread(self.stacks)
            return Failure(stopped, message=stacks.place(frames), cell=self.cell)
        return self._explain(self.error) if self.error else None

    @property
    def waits(self) -> bool:
        """True if the last cell was waiting for other ranks."""
        return stacks.is_waiting(stacks.main_thread(self.stacks))

    def _execute(self) -> None:
        try:
            self._papermill()
        except BaseException as error:
            self.error = error

    def _papermill(self) -> None:
        import papermill
        from traitlets.config import Config

        logging.getLogger("papermill").setLevel(logging.CRITICAL)  # the failure has the same text
        path = str(self.copy).replace("{", "{{").replace("}", "}}")  # papermill formats the path
        papermill.execute_notebook(
            path,
            path,
            self.values,
            kernel_name="python3",
            cwd=paths.ROOT,
            progress_bar=False,
            stdout_file=self.stream,
            stderr_file=self.stream,
            start_timeout=300,
            autosave_cell_every=60,
            # The rest goes to nbclient.
            kernel_manager_class=self.kernel.manager,
            config=Config({"KernelManager": self.kernel.connection}),
            iopub_timeout=60,
            extra_arguments=self.kernel.arguments,
            on_cell_execute=self._on_cell,
            on_cell_executed=_join_streams,
        )

    def _on_cell(self, cell, cell_index: int) -> None:
        from ivcore.run.kernel_process import Stopped

        if self.kernel.refused:
            raise Stopped
        ids = [cell.get("id") for cell in self.cells]
        index = ids.index(cell["id"]) if cell.get("id") in ids else min(cell_index, len(ids) - 1)
        self.cell = {"index": index, "name": notebook.cell_name(self.cells, index)}
        if self.cell["name"] != self.heading:
            self.heading = self.cell["name"]
            self.stream.write(f"── {self.heading}\n")
            self.stream.flush()

    def _wait(self, thread: threading.Thread, received: Requests, timeout: float | None, peers) -> str:
        """Waits for the end. Returns why to stop, a key of failure.STATUS, or "" at a normal end. Forwards requests."""
        deadline, passed_on = time.monotonic() + timeout if timeout else float("inf"), 0
        while thread.is_alive():
            if received:
                return received[0]
            if peers and peers.trouble:
                return "terminated" if peers.gone else "peer"
            if time.monotonic() > deadline:
                return "time-out"
            if received.checkpoints > passed_on and self.kernel.signal(signal.SIGUSR1):
                passed_on = received.checkpoints
            thread.join(0.1)
        return ""

    def _interrupt(self, thread: threading.Thread, received: list[str], grace: float) -> None:
        """Interrupts the cell and waits `grace` seconds for a last checkpoint. A second Ctrl-C ends the wait.

        A second SIGTERM does not: both a batch system and torchrun may send one. Before the first cell it does not
        wait.
        """
        self.kernel.refuse()
        asked, deadline, due = received.count("interrupted"), time.monotonic() + grace, 0.0
        while (
            self.cell and thread.is_alive() and time.monotonic() < deadline and received.count("interrupted") == asked
        ):
            if time.monotonic() > due and self.kernel.signal(signal.SIGINT):
                due = time.monotonic() + _AGAIN
            thread.join(0.1)

    def _end(self, thread: threading.Thread) -> None:
        """Kills the kernel and all its child processes, such as a loader's workers.

        Waits for papermill only if a cell had begun; before that it has nothing to write.
        """
        deadline = time.monotonic() + _PATIENCE
        self.kernel.kill()
        while thread.is_alive() and time.monotonic() < deadline and (self.cell or not self.kernel.is_over):
            thread.join(0.1)
            self.kernel.kill()

    def _explain(self, error: BaseException) -> Failure:
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        if isinstance(error, PapermillExecutionError):
            return failure.from_cell(error.ename, error.evalue, error.traceback, self.cell)
        if isinstance(error, DeadKernelError) or "Kernel died" in str(error) or "Kernel didn't" in str(error):
            return failure.dead_kernel(self.code, self.cell)
        if isinstance(error, OSError) and error.errno:
            return failure.from_system(error, self.cell, self.copy)
        lines = "".join(traceback.format_exception(error)).splitlines()
        return Failure("error", type(error).__name__, str(error), lines[-12:], self.cell)


class Stream:
    """Copies the notebook's output to the terminal (unless `silent`), and to log.txt without redrawn progress bars.

    If the log cannot be written (a full disk), it prints that once and the run continues.
    """

    def __init__(self, log, silent: bool = False):
        self.log, self.silent = log, silent

    def write(self, text: str) -> None:
        if not self.silent:
            sys.stdout.write(text)
        self._to_log(self.log.write, _settled(text))

    def flush(self) -> None:
        sys.stdout.flush()
        self._to_log(self.log.flush)

    def _to_log(self, act, *arguments) -> None:
        try:
            act(*arguments)
        except OSError as error:
            self.log = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  for the rest of the run
            print(f"iv: nothing more is written to the log: {error.strerror}", file=sys.stderr)


def _settled(text: str) -> str:
    """Keeps of each line only the text after its last carriage return."""
    *lines, last = text.split("\n")
    return "\n".join(line.rsplit("\r", 1)[-1] for line in [*(line.rstrip("\r") for line in lines), last])


def _join_streams(cell, **_) -> None:
    """Joins a cell's output into one stdout and one stderr. nbclient itself takes hours for a line of megabytes."""
    texts: dict[str, list[str]] = {}
    kept = []
    for output in cell.outputs:
        stream = output["name"] if output["output_type"] == "stream" else ""
        if stream not in texts or not stream:
            kept.append(output)
        if stream:
            texts.setdefault(stream, []).append(output["text"])
    for output in kept:
        if output["output_type"] == "stream":
            output["text"] = _settled("".join(texts[output["name"]]))
    cell.outputs = kept
