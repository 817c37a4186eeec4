"""The machine that all benchmarks measure on: its name, seconds and peak memory of a step, and the table of the rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
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


def timed_steps(step: Callable[[], float], steps: int, device: str) -> dict:
    """Runs `step` (one optimiser step, returns the loss) once to warm up, then `steps` times: medians and peak bytes."""
    first_loss = step()
    base = reset_peak(device)
    wall, cpu = zip(*(timed(step, device) for _ in range(steps)), strict=True)
    return {
        "seconds": statistics.median(wall),
        "cpu_seconds": statistics.median(cpu),
        "peak_bytes": peak(device),
        "between_steps_bytes": base,
        "first_loss": first_loss,
    }


def timed(run: Callable[[], object], device: str) -> tuple[float, float]:
    """Seconds by the clock and by the processor."""
    wait(device)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    run()
    wait(device)
    return time.perf_counter() - begin, time.process_time() - begin_cpu


def fastest(runs: list[dict], device: str) -> dict:
    """The run with the lowest processor time, on a GPU with the lowest time by the clock."""
    return min(runs, key=lambda run: run["cpu_seconds"] if device == "cpu" else run["seconds"])


def matmul_roof(dtype: torch.dtype, device: str) -> float:
    """Operations per second of a large square matrix product, the best of five."""
    size = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = [timed(lambda: a @ b, device)[0] for _ in range(6)]
    return 2 * size**3 / min(seconds[1:])


def roof_line(roof: dict[str, float]) -> str:
    return f"matmul roof: {', '.join(f'{precision} {rate / 1e9:.0f} GFLOP/s' for precision, rate in roof.items())}"


def table(rows: list[dict[str, str]]) -> str:
    """The rows below the names of their columns."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))
