"""Shares work between ranks: one rank does each piece of a set, and every rank gets all results in order.

A set is evaluated, or its features are computed, once and not on every rank. Cut a set into the same pieces for any
number of ranks: the model then sees the same batches, and results are equal to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from ivcore import distributed, rng


def own(count: int) -> range:
    """Numbers of this rank's pieces out of `count`: rank, rank + world, …"""
    return range(distributed.rank(), count, distributed.world())


def in_turns(function: Callable, pieces: Iterable, count: int, seed: int = 0) -> Iterator:
    """Yields function(piece) for each of `count` pieces, in order, on every rank.

    pieces: this rank's own (see `own`). Results must be plain values or CPU tensors. Before each call the global CPU
    generators are seeded with (seed, number of the piece); afterwards they are restored. Every rank must take all
    results, because ranks wait for each other after each turn.
    """
    mine = zip(own(count), pieces)
    for first in range(0, count, distributed.world()):
        result = None
        for number, piece in islice(mine, 1):
            with rng.seeded(seed, number):
                result = function(piece)
        yield from distributed.all_gather_object(result)[: count - first]
