"""Messages of rank 0 to the other ranks about each run, through the shared store (see peers): the folder is ready and
the name of the group, the run is done, or it could not begin."""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ivcore import distributed, lock, paths
from ivcore.distributed import rank
from ivcore.errors import UserError
from ivcore.run.peers import peers

DONE, REFUSED = "done", "refused"
_PATIENCE = 60  # seconds for a new folder to appear on another node
_turns = itertools.count()  # number of the run; every rank goes through the same runs


def suffix() -> str:
    """Suffix of this rank's files: "" on rank 0 (log.txt), "-rank1" on rank 1 (log-rank1.txt)."""
    return f"-rank{rank()}" if rank() else ""


class Announcement:
    """Rank 0's message about one run. A single process sends none."""

    def __init__(self):
        self.key = f"run/{next(_turns)}"
        self.word = ""

    def done(self) -> None:
        self._say(DONE)

    def begin(self, folder: Path) -> str:
        """Announces that the folder is locked and ready. Returns the name of the kernels' group, "" for one process."""
        self._say(f"{lock.holder(folder)}, {self.key}" if distributed.world() > 1 else "")
        return self.word

    def _say(self, word: str) -> None:
        self.word = word
        if distributed.world() > 1:
            peers().store.set(self.key, json.dumps(word))


@contextmanager
def announcing() -> Iterator[Announcement]:
    """Yields an Announcement. If the block ends without one, the other ranks are told that the run was refused."""
    announcement = Announcement()
    try:
        yield announcement
    finally:
        if not announcement.word:
            announcement._say(REFUSED)


def join(folder: Path) -> str:
    """Waits on a rank above 0 for the message of rank 0: the group's name, DONE or REFUSED. REFUSED if a rank fails.

    UserError if this process cannot see the folder.
    """
    key = f"run/{next(_turns)}"
    while not peers().store.check([key]):
        if peers().trouble:
            return REFUSED
        time.sleep(0.1)
    word = json.loads(peers().store.get(key))
    deadline = time.monotonic() + _PATIENCE
    while word not in (DONE, REFUSED) and not folder.is_dir():
        if time.monotonic() > deadline:
            raise UserError(
                f"rank {rank()} does not see {paths.short(folder)}, where rank 0 is at work: let $IVCORE_OUTPUTS name a folder that all nodes see"
            )
        time.sleep(0.5)
    return word
