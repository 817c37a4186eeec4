"""Handlers that note SIGTERM and Ctrl-C, so that work can end in order. A training loop finishes its step and writes a
checkpoint; `iv run` ends its kernel and reports the state of the run. SIGUSR1 asks for a checkpoint without an end.
`ending` stops at once: it is for work whose results are complete at any time.

In a kernel of `iv run`, the first SIGINT counts and later ones are ignored, so that nothing interrupts the last
checkpoint; `iv run` kills a kernel that takes too long. Elsewhere a second SIGINT interrupts at once.
"""

import contextlib
import os
import signal
import threading
from contextlib import contextmanager


@contextmanager
def _handled(handlers: dict):
    """Installs signal handlers inside the block. Does nothing outside the main thread, where Python allows none."""
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
    """Received signals that ask for an end, in order. `checkpoints`: number of SIGUSR1 received."""

    checkpoints = 0

    def ask(self, *_) -> None:
        self.checkpoints += 1


@contextmanager
def caught_signals():
    """Yields Requests: the SIGTERM and SIGINT received inside the block; always empty outside the main thread."""
    caught = Requests()
    owned = bool(os.environ.get("IVCORE_RUN_DIR"))

    def note(number, _frame):
        if number == signal.SIGINT and number in caught:
            raise KeyboardInterrupt
        caught.append(number)
        if owned and number == signal.SIGINT:
            signal.signal(number, signal.SIG_IGN)  # also shows the runner that the signal has arrived

    with _handled({signal.SIGTERM: note, signal.SIGINT: note, signal.SIGUSR1: caught.ask}):
        yield caught


class _Stopped(BaseException):
    """Raised by a signal to leave the block of `ending`."""


def _names() -> dict[int, str]:
    """Names of the signals that ask for an end."""
    names = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "terminated"}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup: the run outlives its terminal
        del names[signal.SIGHUP]
    return names


@contextmanager
def stop_requests():
    """Yields Requests with "interrupted" or "terminated" for each signal received; the process does not die from it."""
    received = Requests()
    names = _names()
    noted = dict.fromkeys(names, lambda number, _frame: received.append(names[number]))
    with _handled(noted | {signal.SIGUSR1: received.ask}):
        yield received


@contextmanager
def ending():
    """Yields the same list as `stop_requests`. The first signal leaves the block at once, without an exception outside
    it. Later signals do nothing, so that open files get closed."""
    received: list[str] = []
    names = _names()

    def stop(number, _frame):
        received.append(names[number])
        if len(received) == 1:
            raise _Stopped

    with _handled(dict.fromkeys(names, stop)), contextlib.suppress(_Stopped):
        yield received
