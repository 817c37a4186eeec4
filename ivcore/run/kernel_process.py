"""The process of a kernel that `iv run` starts: this very Python, whatever kernelspecs say, over Unix sockets in a folder of its own.

Kernels talk over sockets with a private connection file each: over TCP some are lost when many start at the same time.
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
_OLD = 60  # seconds after which a folder that nobody holds cannot be one that is being made
_MODULE = "ipykernel_launcher"


class Stopped(Exception):
    """The run was told to end before this could begin."""


class KernelProcess:
    """At most one process; `manager` is what nbclient starts it by. `refuse()` keeps it from being started at all."""

    def __init__(self, sockets: Path):
        self.sockets = sockets
        self.process: subprocess.Popen | None = None
        self.refused = self.launching = False

    @property
    def manager(self) -> type:
        """A class, since nbclient makes the object itself."""
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
        """Settings of the manager."""
        return {"transport": "ipc", "connection_file": str(self.sockets / "kernel.json")}

    @property
    def arguments(self) -> list[str]:
        """Of the kernel. It is interrupted when it is shut down, and would log that as an error on the terminal."""
        return ["--log-level=CRITICAL", f"--Session.packer={__name__}.pack"]

    def code(self) -> int | None:
        """Its exit status, or the number of the signal that ended it with a minus; None while it lives or before it began."""
        return self.process.poll() if self.process else None

    def refuse(self) -> None:
        """From now on no process is started, unless it is being started already."""
        self.refused = True

    @property
    def is_over(self) -> bool:
        """After `refuse` and `kill`: whether no process can be there any more."""
        return self.refused and (self.process is not None or not self.launching)

    def signal(self, number: int) -> bool:
        """Send a signal, unless it would be lost or would end the kernel: an idle one ignores SIGINT, and so does training that is on its way
        out already; SIGUSR1 and SIGUSR2 mean something to a kernel that has said so."""
        if self.process is None or not _listens(self.process.pid, number):
            return False
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)
        return True

    def kill(self) -> None:
        """Also what it started: a kernel leads a process group of its own."""
        if self.process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _listens(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal now; where the system does not say, whether that is SIGINT."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1], 16)
    except (OSError, StopIteration, ValueError):
        return number == signal.SIGINT
    return bool(caught >> (number - 1) & 1)


def pack(content) -> bytes:
    """A kernel's message as JSON. Half a surrogate pair in it, such as a damaged caption has, becomes "?"; Jupyter's own way raises."""
    try:
        return json_packer(content)
    except UnicodeEncodeError:
        return json.dumps(content, default=json_default, ensure_ascii=False).encode("utf-8", "replace")


@contextmanager
def folder_for_sockets():
    """A short one, held by a lock while it is in use; those of killed runs are cleared away first."""
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
    """Removes folders that runs of this user left behind when they were killed: those whose lock nobody holds."""
    for mark in base.glob("iv-*/.lock"):
        folder = mark.parent
        with suppress(OSError):
            status = folder.lstat()
            mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
            if mine and time.time() - mark.lstat().st_mtime > _OLD and not lock.is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)
