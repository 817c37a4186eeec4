"""SIGTERM and Ctrl-C noted instead of obeyed: by a loop, to finish its step and write a checkpoint first; by `iv run`, to end its kernel
and say what became of the run. SIGUSR1 asks for a checkpoint, and work goes on. Work whose results are whole at any time is left at once: `ending`.

In a kernel of `iv run`, which kills it when it takes too long, one SIGINT is enough, and all later ones are ignored: nothing interrupts
the last checkpoint. Elsewhere a second one interrupts at once, since nobody else would.
"""

import contextlib
import os
import signal
import threading
from contextlib import contextmanager


@contextmanager
def _handled(handlers: dict):
    """Signal handlers in force inside the block. Outside the main thread Python sets none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class Requests(list):
    """Signals that ask for an end, in order; `checkpoints`: how often SIGUSR1 has asked for a checkpoint."""

    checkpoints = 0

    def ask(self, *_) -> None:
        self.checkpoints += 1


@contextmanager
def caught_signals():
    """Requests: the SIGTERM and SIGINT received meanwhile. Outside the main thread: none."""
    caught = Requests()
    owned = bool(os.environ.get("IVCORE_RUN_DIR"))

    def note(number, _frame):
        if number == signal.SIGINT and number in caught:
            raise KeyboardInterrupt
        caught.append(number)
        if owned and number == signal.SIGINT:
            signal.signal(number, signal.SIG_IGN)  # also tells the runner that it has arrived

    with _handled({signal.SIGTERM: note, signal.SIGINT: note, signal.SIGUSR1: caught.ask}):
        yield caught


class _Stopped(BaseException):
    """A signal asked for an end."""


def _names() -> dict[int, str]:
    """Of the signals that ask for an end."""
    names = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "terminated"}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup: the terminal may go
        del names[signal.SIGHUP]
    return names


@contextmanager
def stop_requests():
    """Requests: "interrupted" and "terminated", one for each signal that asks for an end, in place of dying from it."""
    received = Requests()
    names = _names()
    noted = dict.fromkeys(names, lambda number, _frame: received.append(names[number]))
    with _handled(noted | {signal.SIGUSR1: received.ask}):
        yield received


@contextmanager
def ending():
    """The same list. The first such signal ends the block at once, by an exception that nobody outside sees; later ones do nothing, so that
    what is open gets closed."""
    received: list[str] = []
    names = _names()

    def stop(number, _frame):
        received.append(names[number])
        if len(received) == 1:
            raise _Stopped

    with _handled(dict.fromkeys(names, stop)), contextlib.suppress(_Stopped):
        yield received
