"""Progress as a tqdm bar for a live viewer, or as a plain line every few seconds for a log.

A run without a terminal or notebook front end, or with IVCORE_HEADLESS=1, prints plain lines: a bar in a log file is
one frozen line or thousands. The interval grows with the length of the run, from 5 s to 60 s.
"""

import os
import sys
import time

# Limits in seconds of the interval between plain lines, and the interval as a share of the elapsed time.
_SHORTEST, _LONGEST, _SHARE = 5.0, 60.0, 0.05
_FIRST = 3  # units of work before the remaining time is estimated
_REDRAW = 0.2  # seconds between two redraws of a live bar


def live() -> bool:
    """True if a bar can be watched: in a notebook front end or a terminal, without IVCORE_HEADLESS=1."""
    if os.environ.get("IVCORE_HEADLESS", "0") not in ("", "0"):
        return False
    return _in_notebook() or sys.stderr.isatty()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


def words(numbers: dict) -> str:
    """Named numbers as text: `loss 0.512  lr 1.2e-04  clips/s 312`."""
    return "  ".join(f"{name} {_short(value)}" for name, value in numbers.items())


def _short(value) -> str:
    if not isinstance(value, float):
        return str(value)
    if value != 0 and abs(value) < 1e-2:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


class Progress:
    """`with Progress(total, "train") as bar: bar.update(done, loss=0.5)`; `start`: units done by an earlier run.

    silent=True shows nothing: for a rank whose progress another rank shows.
    """

    def __init__(self, total: int | None, label: str, *, start: int = 0, unit: str = "step", silent: bool = False):
        self.silent = silent
        self.total, self.label, self.unit = total, label, unit
        self.start = self.done = start
        self.numbers: dict = {}
        self.begun = time.monotonic()
        self.shown_at = self.begun - _SHORTEST + 1  # the first line comes after one second
        self.shown: int | None = None
        self.bar = self._bar() if live() and not silent else None

    def _bar(self):
        from tqdm.auto import tqdm

        return tqdm(total=self.total, initial=self.start, desc=self.label, unit=self.unit, leave=True)

    def update(self, done: int, **numbers) -> None:
        """Sets the number of finished units and the numbers to show; shows them when the interval has passed."""
        self.done = done
        if numbers:
            self.numbers.update(numbers)
        now = time.monotonic()
        if now - self.shown_at >= self._gap(now):
            self.show(now)

    def _gap(self, now: float) -> float:
        if self.bar is not None:
            return _REDRAW
        return min(_LONGEST, max(_SHORTEST, _SHARE * (now - self.begun)))

    def show(self, now: float | None = None) -> None:
        """Shows the current state now."""
        self.shown_at, self.shown = time.monotonic() if now is None else now, self.done
        if self.silent:
            return
        if self.bar is None:
            print(self.line(), flush=True)
            return
        self.bar.n = self.done
        self.bar.set_postfix_str(words(self.numbers), refresh=False)
        self.bar.refresh()

    def line(self) -> str:
        """The current state as one plain line."""
        place = f"{self.label}: {self.unit} {self.done}"
        if self.total:
            place += f"/{self.total} ({100 * self.done / self.total:.0f}%)"
        return "  ".join(part for part in (place, words(self.numbers), self._left()) if part)

    def _left(self) -> str:
        elapsed, fresh = time.monotonic() - self.begun, self.done - self.start
        if not self.total or fresh <= 0 or self.done >= self.total:
            return f"took {clock(elapsed)}"
        if fresh < _FIRST and elapsed < _SHORTEST:  # the first step takes longer than the others
            return ""
        return f"left {clock(elapsed / fresh * (self.total - self.done))}"

    def close(self) -> None:
        if self.shown != self.done:
            self.show()
        if self.bar is not None:
            self.bar.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
