"""An even selection of a few items, for a figure that shows what a whole set is like."""

from collections.abc import Sequence

import numpy as np


def evenly(rows: Sequence, count: int) -> list:
    """At most `count` of `rows`, evenly spaced from the first to the last; empty if `rows` is empty."""
    return [rows[n] for n in np.unique(np.linspace(0, len(rows) - 1, count).astype(int))] if len(rows) else []
