"""A detector's output in columns: things in videos or pictures, each with its position, class and maybe score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Self

import numpy as np

from ivcore.errors import ParameterError


class Columns:
    """Base of frozen dataclasses with four fields: the name of the video or picture (N,), the position (N, `numbers`),
    label int (N,), score (N,) or None.

    ParameterError for columns of different lengths, and for positions and scores that are not finite. what: name of the
    rows in such an error.
    """

    what: str
    numbers: int

    def __post_init__(self):
        within, place, *_ = (field.name for field in fields(self))
        kinds = {within: str, place: np.float64, "label": np.int64, "score": np.float64}
        columns = {name: np.asarray(getattr(self, name), kind) for name, kind in kinds.items() if getattr(self, name) is not None}  # fmt: skip
        columns[place] = columns[place].reshape(-1, self.numbers)
        if len(set(map(len, columns.values()))) > 1:
            lengths = {name: len(column) for name, column in columns.items()}
            raise ParameterError(f"{self.what}: expected one length, got {lengths}")
        for name, column in columns.items():
            if column.dtype == np.float64 and not np.isfinite(column).all():
                raise ParameterError(f"{self.what}: {name} holds numbers that are not finite")
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows) -> Self:
        """The given rows, by number or by mask."""
        return type(self)(*(None if column is None else column[rows] for column in vars(self).values()))

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """The rows of one or several sets, in order. Equal names are the same video or picture."""
        columns = zip(*(vars(part).values() for part in parts))
        return cls(*(None if column[0] is None else np.concatenate(column) for column in columns))
