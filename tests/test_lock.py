"""One process at a time in a folder."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from ivcore import lock
from ivcore.errors import UserError


def test_a_lock_is_waited_for(tmp_path):
    program = f"from pathlib import Path; from ivcore import lock\nwith lock.held(Path({str(tmp_path)!r}), wait=True): print('mine')"
    with lock.held(tmp_path):
        second = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert "waiting" in second.stdout.readline()
        assert second.poll() is None
    assert second.communicate(timeout=60)[0] == "mine\n"


def test_a_lock_is_taken_again_by_the_same_process_only_once(tmp_path):
    lock.acquire(tmp_path)
    lock.acquire(tmp_path)
    lock.release(tmp_path)
    assert not lock.is_held(tmp_path)
    with open(tmp_path / ".lock") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="in use"):
            lock.acquire(tmp_path)


def test_a_child_does_not_keep_the_lock(tmp_path):
    """A loader's worker lives on for seconds after its process was killed."""
    lock.acquire(tmp_path)
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writes, b"x")
        time.sleep(30)
        os._exit(0)
    try:
        os.read(reads, 1)
        lock.release(tmp_path)
        assert not lock.is_held(tmp_path)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
