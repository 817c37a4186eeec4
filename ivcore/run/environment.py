"""Environment of a run (versions, commit, host, device) for env.json, the header of a notebook and `iv doctor`."""

import os
import platform
import re
import socket
import subprocess
from importlib import metadata

from ivcore import paths
from ivcore.cores import cores
from ivcore.errors import ParameterError, shown

PACKAGES = "torch torchvision timm numpy decord av papermill nbclient ipykernel safetensors".split()


def versions(packages=PACKAGES) -> dict[str, str]:
    """Versions by package; "" if it is not installed."""
    return {name: version(name) for name in packages}


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def package_with(module: str) -> str:
    """Requirement that installs a missing module: "ivcore", or "ivcore[extra]" with the first extra that has it."""
    package = {"yaml": "pyyaml", "PIL": "pillow", "IPython": "ipykernel", "jupyter_client": "ipykernel"}.get(
        module, module
    )
    for line in metadata.requires("ivcore") or [] if version("ivcore") else []:
        name, _, condition = line.partition(";")
        if re.match(r"[\w.-]+", name)[0].lower().replace("_", "-") == package.lower().replace("_", "-"):
            extra = re.search(r"extra == ['\"](\w+)", condition)
            return f"ivcore[{extra[1]}]" if extra else "ivcore"
    return "ivcore[run]"


def commit() -> str:
    """The checkout's commit, with "+" if tracked files differ from it; "" outside a checkout."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return head + ("+" if head and _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(paths.ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def yield_cores() -> None:
    """Makes waiting torch threads sleep instead of spin, because decoding processes need the cores. Call it before
    torch is imported. The user's own setting is kept."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pick_device(wanted: str = "auto") -> str:
    """Name of the device to use. "auto": the first GPU, or this rank's own (LOCAL_RANK); the CPU if there is none.

    ParameterError for a device that torch cannot use here.
    """
    import torch

    if wanted in ("", "auto"):
        if not torch.cuda.is_available():
            return "cpu"
        local = os.environ.get("LOCAL_RANK")
        return "cuda" if local is None else f"cuda:{int(local) % torch.cuda.device_count()}"
    try:
        torch.ones(1, device=wanted).sum().item()  # reading a value also refuses "meta", whose tensors hold no data
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = " ".join(str(error).split("\n")[0].split())[:120]
        raise ParameterError(
            f"device = {shown(wanted)}: not usable here ({reason}); must be auto, cpu, or an accelerator that torch can use"
        ) from None
    return wanted


def device_name(device: str) -> str:
    """ "cpu (8 cores)", or the name of the GPU."""
    if device.startswith("cuda"):
        import torch

        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({cores()} cores)"


def describe(device: str, command: str, began: str) -> dict:
    """The content of env.json."""
    return {
        "python": platform.python_version(),
        "versions": versions(),
        "commit": commit(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cores": cores(),
        "device": device_name(device),
        "command": command,
        "began": began,
    }
