"""SIGTERM and Ctrl-C noted instead of obeyed, so that a loop can finish its step and write a checkpoint first."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def caught_signals():
    """List of the SIGTERM and SIGINT received meanwhile; a second SIGINT interrupts at once. Outside the main thread: none."""
    caught: list[int] = []

    def note(number, _frame):
        if number == signal.SIGINT and number in caught:
            raise KeyboardInterrupt
        caught.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
