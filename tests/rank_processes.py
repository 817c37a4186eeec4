"""Ranks as processes of a test's script: a fork each, so that torch is imported once."""

import faulthandler
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence

PATIENCE = 460  # seconds, less than those after which the fixture `ranks` gives up


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_together(bodies: Sequence[Callable[[], None]]) -> int:
    """Runs each in a process of its own -> 0; 1 once one has failed, which ends the others.

    The first to fail says why on stderr, and each of the others where it stood. So do all after PATIENCE seconds.
    """
    running = {}
    for body in bodies:
        if not (child := os.fork()):
            _run(body)
        running[child] = body
    while running:
        child, status = os.wait()
        del running[child]
        if status:
            time.sleep(2)  # those that fail for the same reason say so themselves
            for other in running:
                os.kill(other, signal.SIGABRT)
            return 1
    return 0


def _run(body: Callable[[], None]) -> None:
    faulthandler.enable()
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    status = 1
    try:
        body()
        status = 0
    except BaseException:
        print(f"process {os.getpid()}, rank {os.environ.get('RANK')}:", file=sys.stderr)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
