"""What rank 0 of a launch tells the others of each run, through the store that they share (see peers): that its folder is ready and what
their group is called, that there is nothing to do, or that it could not begin."""

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
_PATIENCE = 60  # seconds for a new folder to show on another node
_turns = itertools.count()  # every rank goes through the same runs


def suffix() -> str:
    """What ranks above 0 add to the names of their files: log.txt is rank 0's, log-rank1.txt that of rank 1."""
    return f"-rank{rank()}" if rank() else ""


class Announcement:
    """Rank 0's word on one run; a process on its own has nobody to tell."""

    def __init__(self):
        self.key = f"run/{next(_turns)}"
        self.word = ""

    def done(self) -> None:
        self._say(DONE)

    def begin(self, folder: Path) -> str:
        """The folder is locked and ready. -> the name of the group that the kernels of this run form; "" for one on its own."""
        self._say(f"{lock.holder(folder)}, {self.key}" if distributed.world() > 1 else "")
        return self.word

    def _say(self, word: str) -> None:
        self.word = word
        if distributed.world() > 1:
            peers().store.set(self.key, json.dumps(word))


@contextmanager
def announcing() -> Iterator[Announcement]:
    """Where the block ends before anything was announced, the others are told that, too."""
    announcement = Announcement()
    try:
        yield announcement
    finally:
        if not announcement.word:
            announcement._say(REFUSED)


def join(folder: Path) -> str:
    """A rank above 0: the group's name, DONE, or REFUSED, as soon as rank 0 has said it, or there is trouble before.

    UserError where this process does not see the folder.
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
