"""Facts about the machine for all benchmarks: its name, waiting for pending work, and peak memory."""

from __future__ import annotations

from pathlib import Path

import torch

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def name(device: str) -> str:
    capability = torch.backends.cpu.get_cpu_capability()
    return torch.cuda.get_device_name() if device == "cuda" else f"cpu ({capability})"


def wait(device: str) -> None:
    """Waits until the GPU has finished all pending work."""
    if device == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: str) -> int:
    """Resets the peak; returns bytes in use now."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak(device: str) -> int:
    """Peak bytes in use since `reset_peak`."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status("VmHWM")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))
