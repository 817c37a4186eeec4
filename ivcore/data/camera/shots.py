"""The shots of the films, read from shots.csv: which seconds of which film, what they show, in which split.

Columns: start and stop in seconds. left, top, right, bottom: box of the action, in fractions of the picture. zooms: squares are cut from
it at its full height (1) and at half of it (2). captions: divided by |; they were written by a person who watched the shot, so they
are true of it, but a small square may show only a part of what they name.

A shot lies in one split. Between shots of different splits in one film, some frames are left out.
"""

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shot:
    film: str
    start: float
    stop: float
    box: tuple[float, float, float, float]
    zooms: tuple[int, ...]
    split: str
    label: str
    captions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The film and the shot's start in tenths of a second."""
        return f"{self.film}-{round(10 * self.start):03d}"


def _read() -> tuple[Shot, ...]:
    with open(Path(__file__).with_name("shots.csv"), newline="", encoding="utf-8") as file:
        return tuple(
            Shot(
                row["film"], float(row["start"]), float(row["stop"]),
                tuple(float(row[side]) for side in ("left", "top", "right", "bottom")),
                tuple(int(zoom) for zoom in row["zooms"].split()),
                row["split"], row["label"], tuple(row["captions"].split("|")),
            )
            for row in csv.DictReader(file)
        )  # fmt: skip


SHOTS = _read()
