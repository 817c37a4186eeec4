"""Shows only the progress lines of a run, for commands that make several runs. The run's log has everything."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator

_PROGRESS = re.compile(
    r"(\w[\w ]*: \w+ \d+(?:/\d+ \(\d+%\))?).*?((?:left|took) [\d:]+)$"
)  # as `ivcore.progress` writes it
_NUMBERS = ("loss", "val_top1")  # numbers of a line that are shown


class _QuietOutput:
    """Stream that passes on progress lines. On a terminal each replaces the one before."""

    def __init__(self, stream):
        self.stream, self.rest, self.width = stream, "", 0
        self.live = stream.isatty()

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if match := _PROGRESS.match(line):
                found = (re.search(rf"\b{name} \S+", line) for name in _NUMBERS)
                self._show("  ".join([match[1], *(each[0] for each in found if each), match[2]]))
        return len(text)

    def _show(self, line: str) -> None:
        if self.live:
            self.stream.write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            self.stream.write(f"    {line}\n")
        self.stream.flush()

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.live

    def close_line(self) -> None:
        if self.live and self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.stream.flush()


@contextlib.contextmanager
def quiet_output(verbose: bool = False) -> Iterator[None]:
    """Inside the block only progress lines are printed; with `verbose` everything."""
    if verbose:
        yield
        return
    quiet = _QuietOutput(sys.stdout)
    with contextlib.redirect_stdout(quiet):
        try:
            yield
        finally:
            quiet.close_line()
