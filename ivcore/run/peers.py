"""The processes of one launch (torchrun, on one node or several), each of which runs the notebook in a kernel of its own: signs of life, and
which of them failed first.

All of it goes through the store at MASTER_ADDR:MASTER_PORT. torchrun keeps it on its first node; without torchrun rank 0 does. No file lock is
asked, since another node may not see it.

Each rank gives a sign of life a second. Rank 0 watches all, and all watch rank 0. Who fails says so in the store, and the others end:

    a kernel ends or a cell fails   the connections of its group break, and the others end within SOON
    a process or a node is gone     its signs of life stay away: named after SILENT, after SOON where a connection broke as well
    a kernel hangs                  another waits for it in vain for distributed.patience(): all kernels are asked for their stacks
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
    """Those of this process, which go on until it ends."""
    return Peers(_store(), distributed.rank(), distributed.world())


def _store():
    import torch.distributed as dist

    store, _, _ = next(iter(dist.rendezvous("env://")))
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # kernels are its clients, also those of a rank 0 that keeps it
    return dist.PrefixStore(f"iv {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


class Peers:
    """`told` is the failure that came first, as in error.json, with its "rank"; `gone`: the store is, and with it who launched."""

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
        """Whether there is no use in going on."""
        return self.told is not None or self.gone

    def tell(self, cause: dict) -> dict:
        """Say that this rank failed, or that it saw another dead. -> what was said first, by whichever rank."""
        try:
            self.told = json.loads(self.store.compare_set("failed", "", json.dumps(cause)))
        except RuntimeError:  # of the store, where nobody is left to be told
            self.gone = True
        return self.told or cause

    def silent(self, seconds: float) -> list[int]:
        """Ranks that have given signs of life and then none for so long."""
        now = time.monotonic()
        signs = list(self.signs.items())
        return sorted(rank for rank, (sign, at) in signs if sign != b"over" and now - at > seconds)

    def first_failure(self, own: dict, follows: bool) -> dict:
        """Of this launch, as far as that can be known within SOON. `own`: how this rank failed; `follows`: it looks like the consequence of
        another's failure."""
        if not follows or self.gone:
            return self.tell(own)
        stopped = own["kind"] in ("interrupted", "terminated")
        self._put(f"stopped/{self.rank}" if stopped else f"lost/{self.rank}", "1")
        deadline = time.monotonic() + SOON
        while not self.trouble and time.monotonic() < deadline:
            if stopped and self._have(f"stopped/{rank}" for rank in range(self.world)):
                break  # somebody ended the launch
            self._look(range(self.world))
            time.sleep(BEAT / 4)
        if not self.trouble and (dead := self.silent(SOON - 1)):
            return self.tell(dead_rank(dead[0]))
        return self.told or self.tell(own)

    # ---- what ranks find out together

    def put(self, name: str, value: dict) -> None:
        self._put(f"{name}/{self.rank}", json.dumps(value))

    def collect(self, name: str, seconds: float = SOON) -> dict[int, dict]:
        """What each rank has `put` by this name, of those that did within `seconds`."""
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

    # ---- signs of life

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
        self._thread.join(SOON)  # a process that ends while its thread is in the store's C++ aborts
        self._put(f"beat/{self.rank}", "over")


def dead_rank(rank: int) -> dict:
    """What is said of a rank that says nothing."""
    return Failure("dead rank", message=f"rank {rank} is gone without a word").as_json(0) | {"rank": rank}
