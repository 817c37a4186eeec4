"""The missing or unreadable files of a set. Training skips a few of them, lists them, and stops if there are too many."""

import json
import os
from pathlib import Path

from ivcore.errors import ParameterError, UserError, VideoError

MAX_BAD = 0.05  # share of a set's files


class BadVideos:
    """Counts unreadable files up to a limit and lists them in <run_dir>/bad_videos.jsonl, one JSON object a line.

    limit: int, the number of files allowed; float, the share of the files allowed (at least one file, unless it is 0.0). Default: one in twenty.
    Workers and resumed runs share the list, so the limit holds for all of them together; without `run_dir` each counts alone. missing: number of
    further files already known to be bad; they count, too.
    """

    def __init__(self, paths: list[str], limit: int | float | None = None, run_dir=None, missing: int = 0):
        self.paths, self.missing = set(paths), missing
        self.total = len(self.paths) + missing
        self.limit, self.allowed = _limit(MAX_BAD if limit is None else limit, self.total)
        self.file = None if run_dir is None else Path(run_dir) / "bad_videos.jsonl"
        self.causes: dict[str, str] = {}

    def add(self, error: VideoError) -> None:
        """Notes a file. UserError if more files than the limit are bad."""
        self.note(error)
        self.refuse_too_many()

    def note(self, error: VideoError) -> None:
        """Notes a file and does not check the limit."""
        self._read()
        if error.path not in self.causes:
            self.causes[error.path] = error.cause
            self._append(error)

    def note_missing(self) -> None:
        """Notes every file that does not exist."""
        for path in sorted(self.paths):
            if not os.path.exists(path):
                self.note(VideoError(path, "there is no such file"))

    def refuse_too_many(self) -> None:
        if len(self.causes) + self.missing <= self.limit:
            return
        self.note_missing()  # so that the list names all of them
        listed = f"; those found are listed in {self.file}" if self.file else ""
        raise UserError(
            f"{len(self.causes) + self.missing} of {self.total} videos cannot be read, more than max_bad={self.allowed}, "
            f"e.g. {self.example()}{listed}; `iv check` on the list finds all, a larger max_bad passes over them"
        )

    def example(self) -> str:
        return ": ".join(next(iter(self.causes.items()), ("(no file)", "")))

    def _read(self) -> None:
        """Reads what other workers and earlier runs have listed; skips a line cut off by a kill."""
        if self.file is None or not self.file.exists():
            return
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry["path"] in self.paths:
                self.causes.setdefault(entry["path"], entry["cause"])

    def _append(self, error: VideoError) -> None:
        if self.file is None:
            return
        entry = {"path": error.path, "cause": error.cause, "count": len(self.causes)}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _limit(given: int | float, total: int) -> tuple[int, int | float]:
    """Returns (number of files allowed, the limit as given)."""
    if isinstance(given, float) and 0 <= given <= 1:
        return (max(1, int(given * total)) if given else 0), given
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given, given
    raise ParameterError(f"max_bad={given!r}: must be a whole number from 0, or a share in [0.0, 1.0]")
