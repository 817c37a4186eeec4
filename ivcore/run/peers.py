"""The ranks of one launch (torchrun, on one node or several): heartbeats, and which rank failed first. Each rank runs
the notebook in its own kernel.

Ranks communicate through the store at MASTER_ADDR:MASTER_PORT. torchrun keeps it on its first node; without torchrun
rank 0 does. File locks are not used, because another node may not see them.

Each rank sends a heartbeat every second. Rank 0 watches all ranks, and all watch rank 0. A failed rank reports in the
store, and the others end:

    a kernel ends or a cell fails   the connections of its group break, and the others end within SOON
    a process or a node dies        its heartbeats stop: reported after SILENT, or SOON if a connection broke too
    a kernel hangs                  another waits distributed.patience() for it, then asks all for their stacks
"""

import atexit
import functools
import itertools
import json
import os
import threading
import time
from collections.abc import Iterable

from ivcore import distributed
from ivcore.run.failure import Failure

BEAT = 1.0  # seconds
SILENT = 30.0
SOON = 6.0  # torchrun follows SIGTERM with SIGKILL after 30 s, 15 of which a last checkpoint may take


@functools.cache
def peers() -> "Peers":
    """The Peers of this process, made once."""
    return Peers(_store(), distributed.rank(), distributed.world())


def _store():
    import torch.distributed as dist

    store, _, _ = next(iter(dist.rendezvous("env://")))
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # makes all kernels clients of the store, rank 0's too
    return dist.PrefixStore(f"iv {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


class Peers:
    """told: the first failure, as in error.json, with its "rank". gone: the store, and so the launcher, has ended."""

    def __init__(self, store, rank: int, world: int):
        self.store, self.rank, self.world = store, rank, world
        self.told: dict | None = None
        self.gone = False
        self.over = threading.Event()
        self.signs: dict[int, tuple[bytes, float]] = {}
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        atexit.register(self._sign_off)

    @property
    def trouble(self) -> bool:
        """True if the run must stop."""
        return self.told is not None or self.gone

    def tell(self, cause: dict) -> dict:
        """Reports that this rank failed, or that another is dead. Returns the first report of any rank."""
        try:
            self.told = json.loads(self.store.compare_set("failed", "", json.dumps(cause)))
        except RuntimeError:  # the store does not answer
            self.gone = True
        return self.told or cause

    def silent(self, seconds: float) -> list[int]:
        """Ranks without a heartbeat for this many seconds; only those that had sent one."""
        now = time.monotonic()
        signs = list(self.signs.items())
        return sorted(rank for rank, (sign, at) in signs if sign != b"over" and now - at > seconds)

    def first_failure(self, own: dict, follows: bool) -> dict:
        """The first failure of the launch, as far as known within SOON. own: failure of this rank. follows: it looks
        like a consequence of another rank's failure."""
        if not follows or self.gone:
            return self.tell(own)
        stopped = own["kind"] in ("interrupted", "terminated")
        self._put(f"stopped/{self.rank}" if stopped else f"lost/{self.rank}", "1")
        deadline = time.monotonic() + SOON
        while not self.trouble and time.monotonic() < deadline:
            if stopped and self._have(f"stopped/{rank}" for rank in range(self.world)):
                break  # the whole launch was stopped
            self._look(range(self.world))
            time.sleep(BEAT / 4)
        if not self.trouble and (dead := self.silent(SOON - 1)):
            return self.tell(dead_rank(dead[0]))
        return self.told or self.tell(own)

    # ---- values of all ranks

    def put(self, name: str, value: dict) -> None:
        self._put(f"{name}/{self.rank}", json.dumps(value))

    def collect(self, name: str, seconds: float = SOON) -> dict[int, dict]:
        """{rank: value `put` by this name}, of the ranks that did so within `seconds`."""
        deadline = time.monotonic() + seconds
        keys = {rank: f"{name}/{rank}" for rank in range(self.world)}
        while not self._have(keys.values()) and time.monotonic() < deadline and not self.gone:
            time.sleep(BEAT / 4)
        return {rank: json.loads(self.store.get(key)) for rank, key in keys.items() if self._have([key])}

    def _put(self, key: str, value: str) -> None:
        try:
            self.store.set(key, value)
        except RuntimeError:
            self.gone = True

    def _have(self, keys: Iterable[str]) -> bool:
        try:
            return self.store.check(list(keys))
        except RuntimeError:
            self.gone = True
            return False

    # ---- heartbeats

    def _live(self) -> None:
        watched = range(self.world) if self.rank == 0 else [0]
        for beat in itertools.count():
            self._put(f"beat/{self.rank}", str(beat))
            self._look(watched)
            if self.told is None and (dead := self.silent(SILENT)):
                self.tell(dead_rank(dead[0]))
            if self.gone or self.over.wait(BEAT):
                return

    def _look(self, ranks: Iterable[int]) -> None:
        try:
            for rank in ranks:
                if rank != self.rank and self.store.check([f"beat/{rank}"]):
                    sign = self.store.get(f"beat/{rank}")
                    if self.signs.get(rank, (b"", 0))[0] != sign:
                        self.signs[rank] = (sign, time.monotonic())
            if self.told is None and self.store.check(["failed"]):
                self.told = json.loads(self.store.get("failed"))
        except RuntimeError:
            self.gone = True

    def _sign_off(self) -> None:
        self.over.set()
        self._thread.join(SOON)  # the process would abort if it ended while the thread is in the store's C++ code
        self._put(f"beat/{self.rank}", "over")


def dead_rank(rank: int) -> dict:
    """Error record for a rank whose heartbeat stopped."""
    return Failure("dead rank", message=f"rank {rank} is gone without a word").as_json(0) | {"rank": rank}
