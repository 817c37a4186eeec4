"""Shuffles a stream of samples with a buffer; each sample is read once."""

import random
from collections.abc import Iterable, Iterator

LARGEST = 2**30  # bytes


def shuffled(samples: Iterable, most: int, rng: random.Random, largest: int = LARGEST) -> Iterator:
    """Yields each sample once, drawn from a buffer of `most` samples, or of fewer if they have more than `largest` bytes."""
    buffer, size = [], 0
    for sample in samples:
        buffer.append(sample)
        size += _bytes(sample)
        while buffer and (len(buffer) >= most or size > largest):
            drawn = _draw(buffer, rng)
            size -= _bytes(drawn)
            yield drawn
    while buffer:
        yield _draw(buffer, rng)


def _draw(buffer: list, rng: random.Random):
    place = rng.randint(0, len(buffer) - 1)
    buffer[place], buffer[-1] = buffer[-1], buffer[place]
    return buffer.pop()


def _bytes(sample) -> int:
    return sum(len(data) for data in sample.values() if isinstance(data, bytes)) if isinstance(sample, dict) else 0
