"""The log of a training run from shards: one line for each batch and one for each sample left out.

    {"url": "00012.tar", "key": "000012034", "reason": "corrupt", "cause": "…", "at": [stream, pass, place], "step": 917}
    {"step": 917, "read": 64, "cut": 1, "not_utf8": 0, "passes": [[stream, pass, samples]]}

The lines of a batch are written before training on it, the batch's own line last. So a resumed run knows without decoding what to leave out.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Logged:
    """The log's content for the batches before `step`: samples left out as (stream, pass, place), sizes of passes, and counts."""

    step: int = 0
    bad: set = field(default_factory=set)
    sizes: dict = field(default_factory=dict)  # (stream, pass) -> usable samples
    counts: Counter = field(default_factory=Counter)

    def add(self, line: dict, skipped: list[dict]) -> None:
        """Adds one batch: its line, and the lines of its skipped samples."""
        self.sizes |= {(stream, number): samples for stream, number, samples in line["passes"]}
        self.bad |= {tuple(row["at"]) for row in skipped if row["key"] is not None}
        self.counts.update({name: line[name] for name in ("read", "cut", "not_utf8")})
        self.counts.update(row["reason"] for row in skipped)


class ShardLog:
    """The log file of one rank. A batch that is read again after a resume is logged again; its last lines count.

    A file of other data (`identity`) is overwritten.
    """

    def __init__(self, file: Path, identity: dict):
        self.file = Path(file)
        first = json.dumps({"data": identity})
        if not self.file.is_file() or self._lines()[:1] != [json.loads(first)]:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(first + "\n", encoding="utf-8")
        elif not self.file.read_bytes().endswith(b"\n"):  # cut off by a kill
            self._append("\n")

    def before(self, step: int) -> Logged | None:
        """The content for all batches before `step`; None if one of them is missing."""
        batches, skipped = {}, []
        for line in self._lines()[1:]:
            if "key" in line:
                skipped.append(line)
            elif "passes" in line:
                batches[line["step"]] = line, [row for row in skipped if row["step"] == line["step"]]
                skipped = []
        logged = Logged(step)
        for number in range(step):
            if number not in batches:
                return None
            logged.add(*batches[number])
        return logged

    def write(self, step: int, line: dict, skipped: list[dict]) -> None:
        rows = [*({**row, "step": step} for row in skipped), {"step": step, **line}]
        self._append("".join(json.dumps(row) + "\n" for row in rows))

    def _append(self, text: str) -> None:
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(text)

    def _lines(self) -> list[dict]:
        """Every complete line."""
        rows = []
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return [row for row in rows if isinstance(row, dict)]
