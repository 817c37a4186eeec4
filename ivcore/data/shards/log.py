"""What became of the samples of a training run from shards: a line for each batch and one for each sample left out.

    {"url": "00012.tar", "key": "000012034", "reason": "corrupt", "cause": "…", "at": [stream, pass, place], "step": 917}
    {"step": 917, "read": 64, "cut": 1, "not_utf8": 0, "passes": [[stream, pass, samples]]}

The lines of a batch come before it is trained on, its own line last. So a resumed run knows what to leave out without decoding.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Logged:
    """What the log tells of the batches before `step`: samples left out, as (stream, pass, place), sizes of passes, and counts."""

    step: int = 0
    bad: set = field(default_factory=set)
    sizes: dict = field(default_factory=dict)  # (stream, pass) -> usable samples
    counts: Counter = field(default_factory=Counter)

    def add(self, line: dict, skipped: list[dict]) -> None:
        """Takes in one batch."""
        self.sizes |= {(stream, number): samples for stream, number, samples in line["passes"]}
        self.bad |= {tuple(row["at"]) for row in skipped if row["key"] is not None}
        self.counts.update({name: line[name] for name in ("read", "cut", "not_utf8")})
        self.counts.update(row["reason"] for row in skipped)


class ShardLog:
    """The file of one rank. Lines of a batch that is read again after a resume come again: the last ones count.

    A file of other data (`identity`) is begun anew.
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
        """Of all batches before `step`; None where one of them is missing."""
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
        """Every line that is whole."""
        rows = []
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return [row for row in rows if isinstance(row, dict)]
