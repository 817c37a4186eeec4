"""Checks what works on this machine, and says how to install what is missing."""

import ctypes.util
import os
import platform
import shutil
import subprocess
import sys

from ivcore import paths
from ivcore.cores import cores
from ivcore.run import environment

_LIBRARIES = (
    "torch torchvision timm einops numpy safetensors av decord papermill nbclient ipykernel omegaconf pandas matplotlib"
)
_OPTIONAL = {"jupyterlab": ("JupyterLab", "lab"), "pytest": ("tests", "test"), "snakemake": ("Snakemake", "graph")}
_GL = {
    "OSMesa": "libosmesa6",
    "EGL": "libegl1",
    "GLU": "libglu1-mesa",
}  # rendering without a screen: MuJoCo needs OSMesa or EGL, MiniWorld EGL and GLU


def show() -> None:
    """Prints one line per finding: "ok", "--" (does not work) or blank, then the state, and the command that helps."""
    for what, works, state, remedy in findings():
        mark = {True: "ok", False: "--", None: "  "}[works]
        print(f"{mark}  {what:<14} {state}" + (f"   → {remedy}" if remedy and not works else ""))


def findings():
    """Yields (name, works: True, False or None for a fact, state, command that installs it)."""
    system = f"{platform.python_version()} on {platform.platform(terse=True)}, {platform.machine()}"
    yield "python", True, system, ""
    versions = environment.versions(_LIBRARIES.split())
    yield ("libraries", None, ", ".join(f"{name} {version}" for name, version in versions.items() if version), "")
    if missing := [name for name, version in versions.items() if not version and name != "decord"]:
        yield "missing", False, ", ".join(missing), "pip install -e '.[run]'"
    threads = os.environ.get("OMP_NUM_THREADS")
    yield ("cores", None, f"{cores()} usable" + (f", OMP_NUM_THREADS={threads}" if threads else ""), "")
    yield _memory()
    yield _disk()
    yield _device()
    yield _video()
    for package, (name, extra) in _OPTIONAL.items():
        version = environment.version(package)
        yield name, bool(version) or None, version or "not installed", f"pip install -e '.[{extra}]'"
    yield _slurm()
    for name, package in _GL.items():
        there = bool(ctypes.util.find_library(name))
        state = "usable" if there else "no library (only simulated data needs it)"
        yield f"GL {name}", there or None, state, f"apt-get install {package}"
    yield _hybrid()


def _hybrid() -> tuple:
    from ivcore.data import hybrid

    without = hybrid.left_out(hybrid.Hybrid())
    there = [part.name for part in hybrid.every(hybrid.Hybrid()) if part.name not in without]
    state = " + ".join(there) + (f", without {', '.join(without)}" if without else "")
    return "hybrid", not without or None, state, "make sim"


def _memory() -> tuple:
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / 2**30, memory.total / 2**30
    remedy = "close other programs: a tiny run needs 2 GiB"
    return "memory", free > 2, f"{free:.0f} of {total:.0f} GiB free", remedy


def _disk() -> tuple:
    place = next(path for path in (paths.outputs(), *paths.outputs().parents) if path.exists())
    free = shutil.disk_usage(place).free / 2**30
    remedy = "set IVCORE_OUTPUTS to a folder on a larger disk"
    return "disk", free > 2, f"{free:.0f} GiB free for {paths.short(paths.outputs())}", remedy


def _device() -> tuple:
    try:
        import torch
    except ImportError:
        return "GPU", False, "torch does not load", "pip install --force-reinstall torch"
    if torch.cuda.is_available():
        count, name = torch.cuda.device_count(), torch.cuda.get_device_name(0)
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return "GPU", True, f"{count} × {name}, {memory:.0f} GiB, CUDA {torch.version.cuda}", ""
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        version = environment.version("torch").split("+")[0]
        return (
            "GPU",
            False,
            "there is a GPU, but the installed torch is built for the CPU",
            f"pip install torch=={version}",
        )
    return "GPU", None, "none: the presets quick and tiny are made for the CPU", ""


def _video() -> tuple:
    if not _imports("av"):
        return "video", False, "PyAV does not load", "pip install --force-reinstall av"
    readers = "decord, and PyAV for what decord cannot read" if _imports("decord") else "PyAV (no decord)"
    return "video", True, readers, ""


def _imports(module: str) -> bool:
    """True if another process can import the module: a wrong library may crash the process that imports it."""
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, timeout=120).returncode == 0


def _slurm() -> tuple:
    if not shutil.which("sbatch"):
        return "Slurm", None, "sbatch is not installed: runs stay on this machine", ""
    try:
        answer = subprocess.run(["sinfo", "-h", "-o", "%P %D"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "Slurm", False, "sbatch is installed, but the controller does not answer", "scontrol ping"
    return "Slurm", True, "; ".join(answer.stdout.split("\n")).strip("; "), ""
