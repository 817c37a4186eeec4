"""The terminal that a command talks to: closed, full, gone in the middle or without UTF-8, it must not end a run."""

import os
import select
import sys
from contextlib import contextmanager, suppress


def prepare() -> None:
    """Stands in for standard streams that are closed, or the next file opened would get their place, and replaces characters that the
    terminal does not know."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  as long as the process lives
        with suppress(AttributeError, ValueError, OSError):
            getattr(sys, name).reconfigure(errors="replace")


def clock(seconds: float) -> str:
    """Minutes and seconds as people write them: "1:02.5"."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"


def is_gone(stream) -> bool:
    """Whether nobody reads a pipe any more."""
    asked = select.poll()
    try:
        asked.register(stream.fileno(), 0)
    except (OSError, ValueError):  # a stream without a file, or a closed one
        return False
    return bool(asked.poll(0))


def silence(stream) -> None:
    """Lets what cannot be written go nowhere: Python would fail with it on its way out."""
    with suppress(OSError, ValueError):
        stream.flush()
        return
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Optional:
    """A stream that goes silent when it cannot be written."""

    def __init__(self, stream):
        self.stream, self.gone = stream, False

    def write(self, text: str) -> int:
        self._attempt(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._attempt(self.stream.flush)

    def _attempt(self, act, *arguments) -> None:
        if self.gone:
            return
        try:
            act(*arguments)
        except (OSError, ValueError):
            self.gone = True
            silence(self.stream)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


@contextmanager
def optional():
    """What is printed meanwhile and cannot be shown is dropped: whoever reads may leave before the work is done."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Optional(sys.stdout), _Optional(sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout, sys.stderr = before
