"""Work that ranks do in turns: each piece of a set is done by one of them, and all get every result, in order.

So a set is evaluated, or features of it are kept, once and not on every rank. Whoever cuts a set into pieces cuts it alike for any number of ranks:
a model then sees the same batches, and results are the same to the last digit, whatever the number of pieces and of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from ivcore import distributed, rng


def own(count: int) -> range:
    """Which of `count` pieces are this rank's: rank, rank + world, …"""
    return range(distributed.rank(), count, distributed.world())


def in_turns(function: Callable, pieces: Iterable, count: int, seed: int = 0) -> Iterator:
    """function(piece) of each of `count` pieces, in order, on every rank.

    pieces: those of this rank alone, see `own`. Results are plain values and tensors on the CPU. What the function draws from the global
    generators of the CPU is a function of (seed, number of the piece), and leaves them as they were. Every rank must take all results, as the
    ranks wait for each other after each of their turns.
    """
    mine = zip(own(count), pieces)
    for first in range(0, count, distributed.world()):
        result = None
        for number, piece in islice(mine, 1):
            with rng.seeded(seed, number):
                result = function(piece)
        yield from distributed.all_gather_object(result)[: count - first]
