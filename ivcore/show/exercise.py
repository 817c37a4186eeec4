"""Exercises that check themselves: the reader replaces the dots and runs the cell again."""

from __future__ import annotations

import math


def check(answer, expected: float, hint: str = "", tolerance: float = 0.01) -> bool:
    """Prints whether a number is right, to a share of `tolerance`. Dots (`...`) are an answer not given yet, and no error."""
    if answer is ...:
        print("not answered yet: replace the dots and run this cell again")
        return False
    right = math.isclose(float(answer), expected, rel_tol=tolerance, abs_tol=1e-9)
    print(f"right: {answer}" if right else f"not yet: {answer}. {hint}".strip())
    return right
