"""Exercises with automatic checks: the reader replaces the dots and runs the cell again; answers and hints are stored
here.
"""

from __future__ import annotations

import math
from collections import Counter

SHOW = "show me"

# exercise -> the answer, a first hint, a second one
EXERCISES = {
    "01.tokens": (
        32 // 2 * (384 // 16) ** 2,
        "Count slots, rows and columns of tubelets, and multiply.",
        "A slot is two frames, and a row or a column is 16 pixels.",
    ),
    "02.seen-elsewhere": (
        1 - 0.75**7,
        "How likely is it that the other 7 slots of the cell are all hidden?",
        "Each of the 7 is hidden with probability rho. The answer is 1 minus the probability that all are hidden.",
    ),
    "03.query-tokens": (
        8 * ((224 // 14) ** 2 + 1),
        "How many patches does one frame have? L/14 has patches of 14 pixels.",
        "Patches along the height times patches along the width, plus one class token, times frames.",
    ),
    "04.tensors": (
        2 * 12,
        "Compare the two lists above: how many tensors does the attention of one block have in each?",
        "Everything except the attention is stored in the same way, so multiply the difference in one block by 12.",
    ),
    "05.first-loss": (
        math.log(14336),
        "An untrained model guesses evenly among all captions of the batch.",
        "Then the probability of the right one is 1/N, and the loss is minus its logarithm.",
    ),
    "05.push": (
        math.exp((0.5 - 0.3) / 0.05),
        "The push is proportional to the probability of the wrong caption.",
        "Probabilities are proportional to exp(cosine / temperature). Divide one by the other.",
    ),
    "05.labels": (
        math.log(8),
        "Every clip has 8 captions in the batch that are all the same.",
        "The best probability that a model can give to the right one of 8 equal captions is 1/8.",
    ),
    "06.share": (
        1 / (1 + math.exp(-2 * math.sqrt(2))),
        "Red with red is 2 and red with blue is -2. Divide both by the root of 2 before the exponential.",
        "The share is e^1.414 divided by the sum of e^1.414 and e^-1.414.",
    ),
    "06.half-open": (
        math.atanh(0.5),
        "Which number has a tanh of one half? tanh(a) is (e^2a - 1) / (e^2a + 1).",
        "Set that to one half and solve for e^2a: it is 3.",
    ),
    "06.products": (
        1568 * 2056,
        "Every query has one product with every key.",
        "Multiply the number of queries by the number of keys.",
    ),
}
_wrong = Counter()  # exercise -> number of wrong answers in this kernel


def check(exercise: str, answer, tolerance: float = 0.01) -> bool:
    """Checks a number up to a relative error of `tolerance`. If it is wrong, prints a hint, and from the second wrong
    answer on the second hint.

    Dots (`...`) mean no answer yet. An answer that is not a number gets the first hint. "show me" prints the answer.
    Raises no errors.
    """
    right, *hints = EXERCISES[exercise]
    if answer is ...:
        print("not answered yet: replace the dots and run this cell again")
        return False
    if isinstance(answer, str) and answer == SHOW:
        print(f"the answer is {right:.6g}")
        return False
    try:
        number = float(answer)
    except (TypeError, ValueError):
        print(f"the answer is a number, and {answer!r} is none. {hints[0]}")
        return False
    if math.isclose(number, right, rel_tol=tolerance, abs_tol=1e-9):
        print(f"right: {answer}")
        return True
    _wrong[exercise] += 1
    last = f' Answer "{SHOW}" to see it.' if _wrong[exercise] > 2 else ""
    print(f"not yet: {answer}. {hints[min(_wrong[exercise], len(hints)) - 1]}{last}")
    return False
