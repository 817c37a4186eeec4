"""Several processes that torchrun starts together, each of which runs the notebook in a kernel of its own: which of them this is, and how
rank 0 tells the others that the run's folder is ready. What their kernels tell each other while they train is in ivcore.distributed.

Rank 0 writes .launch.json once it has the folder's lock. It counts as long as the lock is held by who wrote it, so that what a killed launch
has left behind means nothing.
"""

import itertools
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ivcore import files, lock, paths
from ivcore.distributed import rank
from ivcore.errors import UserError

_PATIENCE = 600  # seconds for rank 0 to make a folder ready; a slow disk and eight slow imports fit in
_numbers = itertools.count()
_joined: set[str] = set()


def suffix() -> str:
    """What ranks above 0 add to the names of their files: log.txt is rank 0's, log-rank1.txt that of rank 1."""
    return f"-rank{rank()}" if rank() else ""


def announce(folder: Path) -> str:
    """Rank 0, which has the lock: the folder is ready. -> the name of the group that the kernels of this run will form."""
    holder = lock.holder(folder)
    group = f"{holder}, run {next(_numbers)}"
    files.write_json(folder / ".launch.json", {"launch": _name(), "holder": holder, "group": group})
    return group


@contextmanager
def retracted(folder: Path) -> Iterator[None]:
    """Delete the announcement on exit."""
    try:
        yield
    finally:
        (folder / ".launch.json").unlink(missing_ok=True)


def join(folder: Path, done, wait: bool = False) -> str | None:
    """A rank above 0: the group's name as soon as rank 0 has announced it; None as soon as `done()`.

    UserError when that takes ten minutes, unless it was asked to `wait`. torchrun ends the others when rank 0 fails.
    """
    deadline = time.monotonic() + _PATIENCE
    while not (group := _announced(folder)):
        if done():
            return None
        if time.monotonic() > deadline and not wait:
            raise UserError(
                f"rank {rank()} has waited {_PATIENCE} s for rank 0 to begin in {paths.short(folder)}: do all ranks see the same disk?"
            )
        time.sleep(0.1)
    _joined.add(group)
    return group


def _announced(folder: Path) -> str | None:
    try:
        told = json.loads((folder / ".launch.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if told["launch"] != _name() or told["group"] in _joined:
        return None
    return told["group"] if told["holder"] == lock.holder(folder) and lock.is_held(folder) else None


def _name() -> str:
    """What the processes of one launch have in common, and no two launches at the same time."""
    return " ".join(os.environ.get(n, "") for n in ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"))
