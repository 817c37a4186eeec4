"""One process at a time in a folder: an advisory lock. The system releases it when its holder dies."""

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ivcore import paths
from ivcore.errors import UserError

_held: dict[Path, int] = {}  # folder -> open file descriptor; a kernel that starts a run twice keeps its lock
_RETRY = 0.5  # seconds: `is_held` in another process takes the lock for a moment


def acquire(folder: Path, wait: bool = False) -> None:
    """Locks the folder until `release` or the end of this process. UserError names the holder if it is locked already.

    With `wait` it waits for the holder, without a time limit.
    """
    if folder in _held:
        return
    descriptor = _open(folder, os.O_RDWR | os.O_CREAT)
    deadline, told = time.monotonic() + _RETRY, False
    while not _try(descriptor):
        if time.monotonic() > deadline and not wait:
            message = f"{paths.short(folder)} is in use by {holder(folder)}: one process at a time in a folder"
            os.close(descriptor)
            raise UserError(message)
        if time.monotonic() > deadline and not told:
            print(f"{paths.short(folder)} is in use by {holder(folder)}: waiting for it", flush=True)
            told = True
        time.sleep(0.1)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    _held[folder] = descriptor


def release(folder: Path) -> None:
    """Releases the lock if this process holds it."""
    descriptor = _held.pop(folder, None)
    if descriptor is not None:
        os.close(descriptor)


@contextmanager
def held(folder: Path, wait: bool = False) -> Iterator[None]:
    acquire(folder, wait)
    try:
        yield
    finally:
        release(folder)


def is_held(folder: Path) -> bool:
    """True if a process, this one included, holds the folder's lock."""
    if folder in _held:
        return True
    try:
        descriptor = _open(folder, os.O_RDONLY)
    except (OSError, UserError):
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def holder(folder: Path) -> str:
    try:
        return (folder / ".lock").read_text(encoding="utf-8") or "another process"
    except (OSError, ValueError):
        return "another process"


def _open(folder: Path, flags: int) -> int:
    """File descriptor of the lock file. UserError for a link (its target would be overwritten), a folder or a pipe."""
    try:
        descriptor = os.open(folder / ".lock", flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        kind = {errno.ELOOP: "a link", errno.EISDIR: "a folder"}.get(error.errno)
        if kind is None:
            raise
        raise UserError(f"{paths.short(folder)}/.lock is {kind} and not a lock: remove it") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # for example a pipe
        os.close(descriptor)
        raise UserError(f"{paths.short(folder)}/.lock is no plain file and not a lock: remove it")
    return descriptor


def _forget() -> None:
    """Closes the locks in a forked child: a loader's worker would otherwise hold them after its parent is killed."""
    for descriptor in _held.values():
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)


def _try(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
