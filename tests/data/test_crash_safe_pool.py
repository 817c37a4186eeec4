"""Items in several processes: every one is answered for, whatever it does to its process."""

import os
import time

import pytest

from ivcore.data import crash_safe_pool


def run(items, workers):
    return {
        index: str(result) if isinstance(result, crash_safe_pool.Died) else result
        for index, result in crash_safe_pool.each(eval, items, workers)
    }


@pytest.mark.parametrize("workers", [1, 3])
def test_an_item_that_ends_its_process_is_named_and_the_others_are_done(workers):
    items = ["1 + 1", "__import__('os').abort()", "'three'", "__import__('os')._exit(7)", "5"]
    assert run(items, workers) == {0: 2, 1: "ended by SIGABRT", 2: "three", 3: "ended with status 7", 4: 5}


def test_ctrl_c_is_held_back_from_a_process_before_it_runs_anything():
    blocked = "2 in __import__('signal').pthread_sigmask(0, [])"
    assert run([blocked, blocked], 2) == {0: True, 1: True}


class _Exits:
    """Unpickling it ends the process."""

    def __reduce__(self):
        return os._exit, (7,)


def test_a_process_may_end_before_it_takes_its_item():
    ((_, result),) = crash_safe_pool.each(_Exits(), ["x" * 100], 1)
    assert str(result) == "ended with status 7"


def test_whoever_leaves_waits_for_no_item():
    left, began = [], time.monotonic()
    for item, result in crash_safe_pool.each(eval, ["1", "__import__('time').sleep(600)"], 1, lambda: bool(left)):
        left.append((item, result))
    assert left == [(0, 1)] and time.monotonic() - began < 300  # it did not wait for the second


def test_nothing_to_do():
    assert run([], 2) == {}


def test_processes_end_with_whoever_asked():
    import multiprocessing

    for _ in crash_safe_pool.each(eval, ["1", "__import__('time').sleep(60)"], 2):
        break
    for process in multiprocessing.active_children():
        process.join(10)
    assert not multiprocessing.active_children()
