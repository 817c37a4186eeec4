"""Exercises that check themselves: the reader replaces the dots, runs the cell again, and is told."""

from __future__ import annotations

import math


def check(answer, wanted: float, hint: str = "", tolerance: float = 0.01) -> bool:
    """Says whether a number is right, to a share of `tolerance`. Dots (`...`) are an answer not given yet, and no error."""
    if answer is ...:
        print("not answered yet: replace the dots and run this cell again")
        return False
    right = math.isclose(float(answer), wanted, rel_tol=tolerance, abs_tol=1e-9)
    print(f"right: {answer}" if right else f"not yet: {answer}. {hint}".strip())
    return right
