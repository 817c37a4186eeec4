"""Controls of an explorer besides numbers, words and text: a clip (embedded or the reader's own), and a patch of a
picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ivcore.data.examples import Example


@dataclass(frozen=True)
class Clips:
    """A choice of these clips, or a video that the reader uploads or names by path. The value is an `Example`."""

    examples: Sequence[Example]


@dataclass(frozen=True)
class Patch:
    """A clickable cell of a picture. The value is (row, column).

    under(**values of the other controls) -> the picture under the cells, uint8 (H, W, 3).
    """

    rows: int
    columns: int
    under: Callable[..., np.ndarray]

    @property
    def middle(self) -> tuple[int, int]:
        return self.rows // 2, self.columns // 2


Control = list | str | Clips | Patch


def laid_out(values) -> Control:
    """Sorts numbers; keeps words in the given order, and a text, clips and a patch as they are."""
    if isinstance(values, str | Clips | Patch):
        return values
    values = list(values)
    return values if are_words(values) else sorted(values)


def are_words(values) -> bool:
    return any(isinstance(value, str) for value in values)


def some(control: Control, count: int) -> list:
    """At most `count` of a control's values, evenly spaced over all of them."""
    if isinstance(control, str):
        return [control]
    if isinstance(control, Patch):
        last = control.rows - 1, control.columns - 1
        return [tuple(round(end * (n + 1) / (count + 1)) for end in last) for n in range(count)]
    values = list(control.examples) if isinstance(control, Clips) else control
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, min(count, len(values)))]


def in_words(value) -> str:
    """A value as text: a clip by its name, a patch by row and column, counted from 1."""
    if isinstance(value, Example):
        return value.name
    if isinstance(value, tuple):
        return f"row {value[0] + 1}, column {value[1] + 1}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def described(alt: str, values: dict) -> str:
    """Alt text with values: "A clip and its mask (clip: creature 1; ratio: 0.75)"."""
    return f"{alt} ({'; '.join(f'{name}: {in_words(value)}'.replace('_', ' ') for name, value in values.items())})"
