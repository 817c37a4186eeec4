"""Which rank failed first, as its peers find out: by its own word, by its silence, or by where it stands."""

import json
import time

import pytest
from torch.distributed import HashStore

from ivcore.run import peers as module
from ivcore.run import stacks
from ivcore.run.peers import Peers


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in (("BEAT", 0.05), ("SILENT", 0.6), ("SOON", 1.5)):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture
def launch():
    """launch(2) -> the peers of two ranks in this process; their threads end with the test."""
    made = []

    def of(world: int) -> list[Peers]:
        store = HashStore()
        made.extend(Peers(store, rank, world) for rank in range(world))
        return made

    yield of
    for each in made:
        each._sign_off()


def until(condition) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 60
        time.sleep(0.01)


def test_the_first_failure_counts_and_reaches_all(launch):
    first, second, third = launch(3)
    assert third.tell({"rank": 2, "kind": "failed"}) == {"rank": 2, "kind": "failed"}
    assert second.tell({"rank": 1, "kind": "failed"})["rank"] == 2
    until(lambda: first.told == second.told == {"rank": 2, "kind": "failed"})
    assert first.trouble
    lost = {"rank": 0, "kind": "failed", "message": "Connection closed by peer"}
    assert first.first_failure(lost, follows=True)["rank"] == 2


def test_a_rank_that_is_gone_without_a_word_is_named_by_rank_0_and_rank_0_by_the_others(launch):
    for silent, watcher in ((1, 0), (0, 1)):
        ranks = launch(2)
        first, second = ranks[-2:]
        until(lambda: first.signs and second.signs)  # noqa: B023
        ranks[-2:][silent].over.set()  # its thread ends, and it does not sign off
        until(lambda: ranks[-2:][watcher].told)  # noqa: B023
        assert ranks[-2:][watcher].told["kind"] == "dead rank" and ranks[-2:][watcher].told["rank"] == silent


def test_a_rank_that_signed_off_is_not_reported_dead(launch):
    first, second = launch(2)
    until(lambda: first.signs)
    second._sign_off()
    time.sleep(module.SILENT * 1.5)
    assert not first.trouble


def test_a_launch_that_was_ended_from_outside_has_no_culprit(launch, monkeypatch):
    first, second = launch(2)
    own = {"rank": 1, "kind": "terminated", "message": ""}
    second._put("stopped/1", "1")
    monkeypatch.setattr(module, "SOON", 1e9)  # it does not wait that long
    assert first.first_failure(own | {"rank": 0}, follows=True)["rank"] == 0


def test_a_store_that_is_gone_ends_the_launch(launch, monkeypatch):
    first, _ = launch(2)

    def lost(*_):
        raise RuntimeError("Connection reset by peer")

    monkeypatch.setattr(
        first, "store", type("Lost", (), {"set": lost, "get": lost, "check": lost, "compare_set": lost})()
    )
    until(lambda: first.trouble)
    assert first.gone and first.tell({"rank": 0, "kind": "failed"}) == {"rank": 0, "kind": "failed"}


def test_values_are_collected_without_silent_ranks(launch):
    first, second = launch(2)
    first.put("stands", {"place": "line 1"})
    assert first.collect("stands", 0.2) == {0: {"place": "line 1"}}
    second.put("stands", {"place": "line 2"})
    assert json.dumps(second.collect("stands")) == '{"0": {"place": "line 1"}, "1": {"place": "line 2"}}'


STACKS = """\
Thread 0x00007f0a (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 327 in wait

Current thread 0x00007f0b (most recent call first):
  File "{inner}", line 2906 in all_reduce
  File "/x/ivcore/train/loop.py", line 190 in train
  File "/tmp/ipykernel_7/88.py", line 4 in <module>
  File "/x/ipykernel_launcher.py", line 18 in <module>
"""


@pytest.mark.parametrize(
    "inner, waits", [("/x/torch/distributed/distributed_c10d.py", True), ("/x/av/video.py", False)]
)
def test_the_line_where_a_kernel_stands_and_whether_it_waits_for_others(inner, waits):
    frames = stacks.main_thread(STACKS.format(inner=inner))
    assert stacks.is_waiting(frames) is waits
    assert stacks.place(frames) == f"line 4, in {'/'.join(inner.split('/')[-3:])} line 2906 (all_reduce)"
    assert stacks.place(stacks.main_thread("")) == ""
