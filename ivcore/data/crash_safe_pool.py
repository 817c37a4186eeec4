"""Applies a function to many items in several processes. An item that kills its process is reported and affects no other item.

concurrent.futures gives up all items when a process dies, and does not say which item it had.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait


class Died(Exception):
    """The result of an item whose process died: the signal or the exit status."""


def each(
    function: Callable, items: Sequence, workers: int, left: Callable[[], bool] = lambda: False
) -> Iterator[tuple[int, object]]:
    """Yields (index of an item, function(item) or `Died`) as each is done, in any order.

    function and items must pickle. An exception of the function ends its process, so it should raise none. Ctrl-C ends all processes,
    even busy ones, and so does `left()` when it becomes true.
    """
    waiting = iter(enumerate(items))
    busy: dict[Connection, tuple] = {}  # a worker's pipe: its process and the index of its item
    try:
        for _ in range(min(workers, len(items))):
            _give(*_start(function), waiting, busy)
        while busy and not left():
            for pipe in wait(list(busy), timeout=0.2):
                process, index = busy.pop(pipe)
                try:
                    result = pipe.recv()
                except (EOFError, OSError):  # OSError: it died before it took its item
                    process.join()
                    result = Died(_said(process.exitcode))
                    pipe, process = _start(function)
                _give(pipe, process, waiting, busy)
                yield index, result
    finally:
        for process, _ in busy.values():
            process.kill()


def _start(function) -> tuple[Connection, multiprocessing.Process]:
    """Starts a worker with Ctrl-C blocked from its first moment: Ctrl-C reaches the whole process group, and only the parent should handle
    it."""
    context = multiprocessing.get_context("spawn")  # a fork would inherit decoders and their threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(function, theirs), daemon=True)
    resource_tracker.ensure_running()  # else the first start would begin it and lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return ours, process


def _give(pipe: Connection, process, waiting: Iterator, busy: dict) -> None:
    """Gives the next item to a worker; if none is left, ends the worker."""
    index, item = next(waiting, (None, None))
    if index is None:
        pipe.close()
        return
    with contextlib.suppress(OSError):  # it died while idle: `wait` will notice the closed pipe
        pipe.send(item)
    busy[pipe] = process, index


def _work(function, pipe: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(function(pipe.recv()))


def _said(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
