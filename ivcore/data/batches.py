"""A stream of batches in which batch k is a pure function of (seed, epoch, k).

The position in the data is therefore just the step number: a resumed run calls `iter_from(step)` and gets the same batches
as an uninterrupted run, with any number of workers. A source of clips is one of these; the first match is used:

- an object with `batch(indices, epoch)`, called once a batch (see `InMemory`). It must seed its random generators itself;
- a dataset with `item(index, epoch)`, whose items are collated;
- any dataset with `source[index]` and a length.

Several ranks can share each batch: `batches.share(rank, world)` is the stream of one rank's part; all parts together are the batch.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, default_collate

from ivcore import distributed, distributed_evaluation
from ivcore.errors import ParameterError, UserError
from ivcore.rng import seeded


class BatchStream(Protocol):
    """The interface that `train` needs: `Batches`, `RoundRobin` of two streams, `Shards`. A step is the number of a batch, from 0."""

    batch_size: int  # clips of a step, over all ranks

    def __len__(self) -> int:
        """The number of batches in an epoch."""

    def share(self, rank: int, world: int) -> "BatchStream":
        """The stream of one rank's part of each batch. ParameterError if a batch cannot be divided."""

    def indices(self, step: int) -> np.ndarray:
        """int64 (B,): the items of a step's batch."""

    def fetch(self, step: int):
        """The batch of a step, made in this process."""

    def iter_from(self, step: int = 0, stop: int | None = None) -> Iterator:
        """Batches of steps step, step + 1, … (up to but not including `stop`)."""

    def identity(self) -> dict:
        """The settings that a resumed run must share with the run it continues."""


class InMemory:
    """Columns of equal length held in memory: `InMemory(video=uint8 (N,T,H,W,C), label=int64 (N,), path=[...])`.

    A batch indexes tensors and arrays at once; any other column is a list and gives a list.
    """

    def __init__(self, **columns):
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise ParameterError(f"columns must have one common length, got {lengths}")
        self.columns = {n: torch.from_numpy(c) if isinstance(c, np.ndarray) else c for n, c in columns.items()}
        self.length = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self.length

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        del epoch  # nothing random here
        return {
            name: column[torch.from_numpy(indices)]
            if isinstance(column, torch.Tensor)
            else [column[i] for i in indices.tolist()]
            for name, column in self.columns.items()
        }


def batch_of(source, indices: np.ndarray, epoch: int):
    """The clips at these indices, as a batch."""
    if hasattr(source, "batch"):
        return source.batch(indices, epoch)
    if hasattr(source, "item"):
        return default_collate([source.item(int(i), epoch) for i in indices])
    return default_collate([source[int(i)] for i in indices])


def each_batch(function: Callable, source, batch_size: int, num_workers: int = 0, seed: int = 0) -> Iterator:
    """Yields function(batch) for batches of all clips of `source`, in order; the last batch may be smaller. seed: for what the function draws.

    Several ranks take turns, see `ivcore.distributed_evaluation`: one rank makes and uses each batch, and all ranks get every result.
    """
    in_order = {"shuffle": False, "drop_last": False, "num_workers": num_workers}
    batches = Batches(source, min(batch_size, len(source)), **in_order)
    return distributed_evaluation.in_turns(
        function, batches.of_steps(distributed_evaluation.own(len(batches))), len(batches), seed
    )


def fitting(batch_size: int, clips: int, what: str = "batch_size") -> int:
    """Clips a step: `batch_size`, or fewer (printed) for a smaller set, so that the ranks can share them and mixup finds pairs."""
    if clips >= batch_size or clips < 1:
        return batch_size
    ranks = distributed.world()
    unit = next((unit for unit in (2 * ranks, ranks, 1) if unit <= clips), 1)
    smaller = clips - clips % unit
    print(f"{what}: {batch_size} is more than the {clips} training clips, so a batch has {smaller}")
    return smaller


class Batches:
    """Endless batches of `source`, epoch after epoch; a `BatchStream`.

    Random numbers that the items draw from the global generators depend on (seed, step) only, and do not touch the training
    loop's generators. With num_workers > 0, worker processes prepare whole batches ahead; they live as long as the stream, and one
    that gives nothing for `timeout` seconds is an error. UserError if an epoch has no batch.
    """

    def __init__(
        self,
        source,
        batch_size: int,
        seed: int = 0,
        *,
        num_workers: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
        timeout: float = 300.0,
    ):
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.num_workers, self.shuffle, self.drop_last = num_workers, shuffle, drop_last
        self.timeout, self.size = timeout, len(source)
        self._order = (-1, np.empty(0, np.int64))
        self.rank, self.world = 0, 1
        if batch_size < 1:
            raise ParameterError(f"batch_size={batch_size}: must be 1 or more")
        if len(self) == 0:
            raise UserError(f"the data hold {self.size} clips, too few for one batch of batch_size={batch_size}")

    def share(self, rank: int, world: int) -> "Batches":
        """The part of rank `rank` of `world` of the same batches: B/world rows of each, from row rank*B/world.

        ParameterError if a batch cannot be divided.
        """
        uneven = not self.drop_last and self.size % self.batch_size
        if self.batch_size % world or uneven:
            what = f"the last batch has {uneven}" if uneven else "must divide"
            raise ParameterError(f"batch_size={self.batch_size}: {what}, to be shared by {world} ranks")
        part = copy.copy(self)
        part.rank, part.world = rank, world
        return part

    def __len__(self) -> int:
        full, rest = divmod(self.size, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def indices(self, step: int) -> np.ndarray:
        """int64 (B,): the items of this step's batch, or of this rank's part of it."""
        epoch, k = divmod(step, len(self))
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._order = (epoch, rng.permutation(self.size) if self.shuffle else np.arange(self.size))
        part = self.batch_size // self.world
        begin = k * self.batch_size + self.rank * part
        return self._order[1][begin : begin + part]

    def fetch(self, step: int):
        """The batch of one step, made in this process."""
        epoch, k = divmod(step, len(self))
        if hasattr(self.source, "batch"):
            return batch_of(self.source, self.indices(step), epoch)
        with seeded(self.seed, epoch, k, *([self.rank] if self.rank else [])):
            return batch_of(self.source, self.indices(step), epoch)

    def iter_from(self, step: int = 0, stop: int | None = None) -> Iterator:
        """Batches of steps step, step + 1, … (up to but not including `stop`)."""
        return self.of_steps(range(step, 2**62 if stop is None else stop))

    def of_steps(self, steps: range) -> Iterator:
        """The batches of these steps."""
        if self.num_workers == 0:
            return map(self.fetch, steps)
        return self._from_workers(steps)

    def _from_workers(self, steps: range) -> Iterator:
        loader = DataLoader(
            _Steps(self),
            sampler=steps,
            batch_size=None,  # one item of _Steps is one batch, collated in the worker
            collate_fn=_as_is,
            num_workers=self.num_workers,
            timeout=self.timeout,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else starting the workers would draw from the loop's generator
        )
        stream = iter(loader)
        for step in steps:
            try:
                batch = next(stream)
            except RuntimeError as error:
                if not str(error).startswith("DataLoader "):
                    raise
                raise UserError(
                    f"step {step}: no batch from the {self.num_workers} data workers: {' '.join(str(error).split())}. A killed worker often "
                    "means too little memory (lower num_workers), a bus error a small /dev/shm (docker run --shm-size=8g, or num_workers=0), "
                    "a silent one a file that hangs (num_workers=0 shows where)"
                ) from error
            if isinstance(batch, UserError):
                raise batch
            yield batch

    def __iter__(self) -> Iterator:
        """The first epoch."""
        return self.iter_from(0, len(self))

    def identity(self) -> dict:
        """The settings that a resumed run must share with the run it continues."""
        return {name: getattr(self, name) for name in ("size", "batch_size", "seed", "shuffle", "drop_last")}


class _Steps:
    """Batches indexed by step, in a worker process. It returns a UserError as an item, because torch would bury it in a traceback."""

    def __init__(self, batches: Batches):
        self.batches = batches

    def __getitem__(self, step: int):
        try:
            return self.batches.fetch(step)
        except UserError as error:
            return error


def _as_is(batch):
    return batch
