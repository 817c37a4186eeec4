"""The kernel process of `iv run`: this Python (not that of a kernelspec), with Unix sockets in a private folder.

Unix sockets are used because some kernels are lost over TCP when many start at the same time.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_client.jsonutil import json_default
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.session import json_packer

from ivcore import lock

_LONGEST_SOCKET_FOLDER = 60  # Unix socket paths end at about 100 characters
_OLD = 60  # seconds after which an unlocked folder is not one that is just being made
_MODULE = "ipykernel_launcher"


class Stopped(Exception):
    """A stop request came before the kernel or the next cell began."""


class KernelProcess:
    """At most one kernel process. nbclient starts it with `manager`; after `refuse()` it does not start."""

    def __init__(self, sockets: Path):
        self.sockets = sockets
        self.process: subprocess.Popen | None = None
        self.refused = self.launching = False

    @property
    def manager(self) -> type:
        """Class of the kernel manager; nbclient creates the object."""
        mine = self

        class ThisPython(AsyncKernelManager):
            @property
            def kernel_spec(self) -> KernelSpec:
                argv = [sys.executable, "-m", _MODULE, "-f", "{connection_file}"]
                return KernelSpec(argv=argv, display_name="Python 3", language="python")

            async def _async_launch_kernel(self, kernel_cmd, **settings):
                mine.launching = True
                if mine.refused:
                    raise Stopped
                await super()._async_launch_kernel(kernel_cmd, **settings)
                mine.process = self.provisioner.process

        return ThisPython

    @property
    def connection(self) -> dict:
        """Settings of the kernel manager."""
        return {"transport": "ipc", "connection_file": str(self.sockets / "kernel.json")}

    @property
    def arguments(self) -> list[str]:
        """Arguments of the kernel. It logs only critical errors, or it would log the interrupt at its end."""
        return ["--log-level=CRITICAL", f"--Session.packer={__name__}.pack"]

    def code(self) -> int | None:
        """Exit status, or minus the number of the signal that ended it; None if it still runs or has not begun."""
        return self.process.poll() if self.process else None

    def refuse(self) -> None:
        """Starts no process from now on. One that is already starting continues."""
        self.refused = True

    @property
    def is_over(self) -> bool:
        """True if no process can be left after `refuse` and `kill`."""
        return self.refused and (self.process is not None or not self.launching)

    def signal(self, number: int) -> bool:
        """Sends a signal if the kernel has a handler for it; returns True if sent. An idle kernel, or training that is
        already stopping, ignores SIGINT; without a handler SIGUSR1 and SIGUSR2 would end the kernel."""
        if self.process is None or not _listens(self.process.pid, number):
            return False
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)
        return True

    def kill(self) -> None:
        """Kills the kernel and its children, which are its process group."""
        if self.process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _listens(pid: int, number: int) -> bool:
    """True if a process has a handler for a signal. If the system does not tell (no /proc), True for SIGINT only."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1], 16)
    except (OSError, StopIteration, ValueError):
        return number == signal.SIGINT
    return bool(caught >> (number - 1) & 1)


def pack(content) -> bytes:
    """A kernel's message as JSON. A lone surrogate (as in a damaged caption) becomes "?"; Jupyter's packer raises."""
    try:
        return json_packer(content)
    except UnicodeEncodeError:
        return json.dumps(content, default=json_default, ensure_ascii=False).encode("utf-8", "replace")


@contextmanager
def folder_for_sockets():
    """Yields a locked folder with a short path, deleted afterwards. Deletes folders of killed runs first."""
    base = Path(tempfile.gettempdir())
    base = base if len(str(base)) < _LONGEST_SOCKET_FOLDER else Path("/tmp")
    clear(base)
    with tempfile.TemporaryDirectory(prefix="iv-", dir=base, ignore_cleanup_errors=True) as name:
        lock.acquire(Path(name))
        try:
            yield Path(name)
        finally:
            lock.release(Path(name))


def clear(base: Path) -> None:
    """Deletes folders left by killed runs of this user, which are those without a locked lock."""
    for mark in base.glob("iv-*/.lock"):
        folder = mark.parent
        with suppress(OSError):
            status = folder.lstat()
            mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
            if mine and time.time() - mark.lstat().st_mtime > _OLD and not lock.is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)
