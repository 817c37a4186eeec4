"""A function of many items in several processes, where an item that ends its process is named and ends nothing else.

concurrent.futures gives up on all items when a process dies, and does not say which one it was at.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait


class Died(Exception):
    """What came of an item whose process ended: the signal or the exit status."""


def each(
    function: Callable, items: Sequence, workers: int, left: Callable[[], bool] = lambda: False
) -> Iterator[tuple[int, object]]:
    """(index of an item, function(item)) as they are done, in any order; in place of a result `Died`.

    function and items must pickle. What the function raises ends its process, so it should raise nothing. Ctrl-C ends all processes, and
    so does `left()` once it is true, whatever they are at.
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
                except (EOFError, OSError):  # the latter where it ended before it took its item
                    process.join()
                    result = Died(_said(process.exitcode))
                    pipe, process = _start(function)
                _give(pipe, process, waiting, busy)
                yield index, result
    finally:
        for process, _ in busy.values():
            process.kill()


def _start(function) -> tuple[Connection, multiprocessing.Process]:
    """Ctrl-C reaches the whole group, and the parent answers it: children are born with it held back, for it may come before they run
    any code of ours."""
    context = multiprocessing.get_context("spawn")  # a fork would inherit decoders and their threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(function, theirs), daemon=True)
    resource_tracker.ensure_running()  # the first start would begin it, and lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return ours, process


def _give(pipe: Connection, process, waiting: Iterator, busy: dict) -> None:
    """The next item to a worker; one that there is nothing left for ends."""
    index, item = next(waiting, (None, None))
    if index is None:
        pipe.close()
        return
    with contextlib.suppress(OSError):  # it died while waiting: `wait` finds the end of its pipe
        pipe.send(item)
    busy[pipe] = process, index


def _work(function, pipe: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(function(pipe.recv()))


def _said(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
