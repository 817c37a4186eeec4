"""Output to a terminal: if it is closed, full, gone or without UTF-8, the run must not end."""

import os
import select
import sys
from contextlib import contextmanager, suppress


def prepare() -> None:
    """Replaces closed standard streams, whose numbers later files would get, and characters that a terminal lacks."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number: this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  as long as the process lives
        with suppress(AttributeError, ValueError, OSError):
            getattr(sys, name).reconfigure(errors="replace")


def clock(seconds: float) -> str:
    """Seconds as "1:02.5"."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"


def is_gone(stream) -> bool:
    """True if the reader of a pipe has gone."""
    asked = select.poll()
    try:
        asked.register(stream.fileno(), 0)
    except (OSError, ValueError):  # a stream without a file, or a closed one
        return False
    return bool(asked.poll(0))


def silence(stream) -> None:
    """Discards output that cannot be written; otherwise Python would fail when it exits."""
    with suppress(OSError, ValueError):
        stream.flush()
        return
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Optional:
    """A stream that discards everything after the first failed write."""

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
    """Inside the block output that cannot be written is dropped, because a reader may leave before the work is done."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Optional(sys.stdout), _Optional(sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout, sys.stderr = before
