"""Saves and restores the global random generators, so that a resumed run draws the same numbers.

Covers torch (CPU and each CUDA device), numpy and Python. Our own code takes explicit generators; dropout and library
augmentations draw from the global ones.
"""

import random
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


class StepGenerator(torch.Generator):
    """Generator of a training step. The loss sees the clips [begin, end) of the joined batch of `total`; see `rows`."""

    begin, end, total = 0, 1, 1

    def sees(self, begin: int, end: int, total: int) -> None:
        self.begin, self.end, self.total = begin, end, total


def rows(draw: Callable[[int], Tensor], count: int, generator: torch.Generator | None) -> Tensor:
    """`draw(count)`, one row per sample. With a `StepGenerator` it draws for the joined batch and returns the rows of
    these samples, so that a clip's random numbers do not depend on ranks or micro-batches.

    `draw` must use the generator. A clip may have several samples, which follow each other.
    """
    if not isinstance(generator, StepGenerator) or generator.end - generator.begin == generator.total:
        return draw(count)
    of_clip = count // (generator.end - generator.begin)
    return draw(generator.total * of_clip)[generator.begin * of_clip : generator.end * of_clip]


def seed_all(seed: int) -> None:
    """Seeds all global generators, those of CUDA devices included."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def capture() -> dict:
    """States of all global generators as tensors and plain values (readable with torch.load(weights_only=True))."""
    return {**_capture_cpu(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []}


def restore(state: dict) -> None:
    """Restores what `capture` returned; CUDA states only if the number of devices is the same."""
    _restore_cpu(state)
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])


def _capture_cpu() -> dict:
    name, keys, position, has_gauss, gauss = np.random.get_state()
    numpy_state = (str(name), torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss))
    return {"python": random.getstate(), "numpy": numpy_state, "torch": torch.get_rng_state()}


def _restore_cpu(state: dict) -> None:
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())


@contextmanager
def seeded(*key: int):
    """Inside the block the CPU generators depend on `key` alone; afterwards their state is restored."""
    before = _capture_cpu()
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the CUDA devices as well
    try:
        yield
    finally:
        _restore_cpu(before)


@contextmanager
def python_and_numpy_seeded(seed: int):
    """Seeds Python's and numpy's global generators inside the block, for library augmentations, then restores them."""
    python, of_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)
