"""What works on this machine, and what to type for what does not."""

import ctypes.util
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass

from ivcore import paths
from ivcore.run import environment

_LIBRARIES = "torch torchvision timm einops numpy safetensors av decord papermill nbclient ipykernel omegaconf pandas matplotlib"


@dataclass(frozen=True)
class Finding:
    """`ok` None: neither good nor bad; `remedy`: what to type where something is missing."""

    what: str
    ok: bool | None
    says: str
    remedy: str = ""

    def line(self) -> str:
        mark = {True: "ok", False: "--", None: "  "}[self.ok]
        return f"{mark}  {self.what:<14} {self.says}" + (
            f"   → {self.remedy}" if self.remedy and not self.ok else ""
        )


def findings() -> list[Finding]:
    """Everything that `iv doctor` prints, in order."""
    machine = [_python(), *_libraries(), _cores(), _memory(), _disk(), _device()]
    return [*machine, _video(), *_optional(), _slurm(), *_rendering()]


def show() -> None:
    for finding in findings():
        print(finding.line())


def _python() -> Finding:
    return Finding(
        "python",
        True,
        f"{platform.python_version()} on {platform.platform(terse=True)}, {platform.machine()}",
    )


def _libraries() -> list[Finding]:
    found = environment.versions(_LIBRARIES.split())
    there = [f"{name} {version}" for name, version in found.items() if version]
    missing = [name for name, version in found.items() if not version and name != "decord"]
    lines = [Finding("libraries", None, ", ".join(there))]
    if missing:
        lines.append(Finding("missing", False, ", ".join(missing), "pip install -e '.[run]'"))
    return lines


def _cores() -> Finding:
    threads = os.environ.get("OMP_NUM_THREADS")
    return Finding(
        "cores", None, f"{environment.cores()} usable" + (f", OMP_NUM_THREADS={threads}" if threads else "")
    )


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / 2**30, memory.total / 2**30
    return Finding(
        "memory",
        free > 2,
        f"{free:.0f} of {total:.0f} GiB free",
        "close what else runs: a tiny run wants 2 GiB",
    )


def _disk() -> Finding:
    place = next(p for p in (paths.outputs(), *paths.outputs().parents) if p.exists())
    free = shutil.disk_usage(place).free / 2**30
    remedy = "set IVCORE_OUTPUTS to a folder on a larger disk"
    return Finding("disk", free > 2, f"{free:.0f} GiB free for {paths.short(paths.outputs())}", remedy)


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding("GPU", True, f"{len(names)} × {names[0]}, {memory:.0f} GiB, CUDA {torch.version.cuda}")
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        version = environment.version("torch").split("+")[0]
        return Finding(
            "GPU", False, "there is one, but this torch is built for the CPU", f"pip install torch=={version}"
        )
    return Finding("GPU", None, "none: the presets quick and tiny are made for the CPU")


def _video() -> Finding:
    works = [name for name in ("decord", "av") if _imports(name)]
    if "av" not in works:
        return Finding("video", False, "PyAV does not load", "pip install --force-reinstall av")
    return Finding(
        "video",
        True,
        "decord, and PyAV for what decord cannot read" if "decord" in works else "PyAV (no decord)",
    )


def _imports(module: str) -> bool:
    """In a process of its own: a library that does not fit the machine may end the process that imports it."""
    import sys

    tried = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, timeout=120)
    return tried.returncode == 0


def _optional() -> list[Finding]:
    wanted = {
        "jupyterlab": ("JupyterLab", "pip install -e '.[lab]'"),
        "pytest": ("tests", "pip install -e '.[test]'"),
        "snakemake": ("Snakemake", "pip install -e '.[graph]'"),
    }
    found = {package: environment.version(package) for package in wanted}
    return [
        Finding(name, bool(found[p]) or None, found[p] or "not installed", how)
        for p, (name, how) in wanted.items()
    ]


def _slurm() -> Finding:
    if not shutil.which("sbatch"):
        return Finding("Slurm", None, "no sbatch here: runs stay on this machine")
    try:
        answer = subprocess.run(["sinfo", "-h", "-o", "%P %D"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return Finding("Slurm", False, "sbatch is there, the controller does not answer", "scontrol ping")
    ok = answer.returncode == 0
    says = (
        "; ".join(answer.stdout.split("\n")).strip("; ")
        if ok
        else "sbatch is there, the controller does not answer"
    )
    return Finding("Slurm", ok, says, "scontrol ping")


def _rendering() -> list[Finding]:
    """GL without a screen, wanted only by data sources that simulate: OSMesa for MuJoCo, EGL for MiniWorld."""
    wanted = {"OSMesa": "libosmesa6", "EGL": "libegl1"}
    lines = []
    for name, package in wanted.items():
        there = bool(ctypes.util.find_library(name))
        says = "usable" if there else "no library (only simulated data needs it)"
        lines.append(Finding(f"GL {name}", there or None, says, f"apt-get install {package}"))
    return lines
