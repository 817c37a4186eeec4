"""All measurements that need a GPU, most valuable first, within some minutes: writes a JSON, and a table for
benchmarks/README.md.

    python benchmarks/gpu.py --minutes 8 --out gpu.json
    python benchmarks/gpu.py --device cpu --minutes 3 --out dry.json    tiny sizes: shows that each part runs

Each part is a process with its own time limit, so one that hangs or fails does not affect the others. The JSON is
written after every part, so nothing is lost when time runs out. Parts without enough time left are listed as left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gpu_parts
import machine
import torch

from ivcore import scaling

HERE = Path(__file__).parent
PEAKS = {"H100": "h100", "H200": "h200", "A100": "a100-80", "V100": "v100-32", "L4": "l4", "4090": "rtx4090"}


@dataclass(frozen=True)
class Part:
    """A measurement. `command`: (device, output file) -> words of the command; `rows`: content of that file -> rows of
    the table.
    """

    name: str
    seconds: int  # time limit
    command: Callable[[str, Path], list[str]]
    rows: Callable[[dict], list[dict]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], help="these parts alone")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no GPU here; --device cpu is a dry run")
    report = {"device": machine.name(options.device), "torch": torch.__version__, "parts": {}}
    ends = time.monotonic() + 60 * options.minutes
    for part in PARTS:
        if options.only and part.name not in options.only:
            continue
        report["parts"][part.name] = run(part, options.device, ends - time.monotonic())
        options.out.write_text(json.dumps(report, indent=1) + "\n")
        print(f"{part.name}: {report['parts'][part.name]['status']}", flush=True)
    print(table(report))


def run(part: Part, device: str, left: float) -> dict:
    """Runs a part within the time left. -> status (done, failed, cut or left out), seconds, rows, and if it failed its
    last lines of output.
    """
    limit = min(part.seconds, left)
    if limit < 10:
        return {"status": "left out", "seconds": 0.0, "rows": []}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "part.json"
        environment = os.environ | {"IVCORE_OUTPUTS": str(Path(folder) / "outputs")}
        try:
            ended = subprocess.run(part.command(device, file), cwd=HERE.parent, env=environment, timeout=limit, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
            status, said = "done" if ended.returncode == 0 else "failed", ended.stdout
        except subprocess.TimeoutExpired as expired:
            status, said = "cut", (expired.stdout or b"").decode(errors="replace")
        found = json.loads(file.read_text()) if file.exists() else {}
    rows = part.rows(found) if found else []
    said = [] if status == "done" else said.splitlines()[-15:]
    return {"status": status, "seconds": round(time.monotonic() - began, 1), "rows": rows, "said": said}


def table(report: dict) -> str:
    """The rows of all parts as a table, for benchmarks/README.md."""
    lines = [f"Measured on {report['device']}, torch {report['torch']}.", ""]
    for name, part in report["parts"].items():
        lines += [f"**{name}** ({part['status']}, {part['seconds']:.0f} s)", ""]
        if part["rows"]:
            heads = list(dict.fromkeys(head for row in part["rows"] for head in row))
            lines += [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
            lines += [f"| {' | '.join(_cell(row.get(head, '')) for head in heads)} |" for row in part["rows"]]
        lines += [*(f"    {line}" for line in part.get("said", [])), ""]
    return "\n".join(lines)


def _cell(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


# ---- the parts


def _script(name: str, *words: str, dry: tuple[str, ...]) -> Callable:
    """The command of a benchmark in this folder, with other arguments in a dry run."""

    def command(device: str, file: Path) -> list[str]:
        chosen = words if device == "cuda" else dry
        return [sys.executable, str(HERE / f"{name}.py"), *chosen, "--device", device, "--out", str(file)]

    return command


def _own(name: str) -> Callable:
    return lambda device, file: [sys.executable, str(HERE / "gpu_parts.py"), name, device, str(file)]


def _with_mfu(found: dict) -> list[dict]:
    """Rows of masked_pretraining.py: clips a second, share of the GPU's peak, memory, and ours over theirs at equal
    settings.
    """
    peak, rows = _peak_of(found["device"]), []
    for row in found["rows"]:
        peer = next((r for r in found["rows"] if r["side"] != row["side"] and _setting(r) == _setting(row)), None)
        flops = 3 * row["forward_flops"] / row["seconds"]
        rows.append({"size": found["size"], "side": row["side"], "batch": row["batch"], "precision": row["precision"],
                     "compile": row["compile"], "clips/s": row["clips_per_second"], "GiB": row["peak_bytes"] / 2**30,
                     "of the matmul roof": row["share_of_roof"], "MFU": flops / peak if peak else "",
                     "over the other": peer["seconds"] / row["seconds"] if peer else ""})  # fmt: skip
    return rows


def _setting(row: dict) -> tuple:
    return row["batch"], row["precision"], row["compile"]


def _peak_of(device: str) -> float:
    card = next((card for part, card in PEAKS.items() if part in device), None)
    return scaling.CARDS[card].tflops.get("bf16", 0) * 1e12 if card else 0.0


def _steps(found: dict) -> list[dict]:
    """Rows of coordinated.py and encoders.py."""
    keep = ("side", "model", "batch", "precision", "seconds", "clips_per_second", "share_of_roof")
    return [
        {name: row[name] for name in keep if name in row} | {"GiB": row["peak_bytes"] / 2**30} for row in found["rows"]
    ]


_BASE = ("--size", "base", "--batch", "64", "128", "--precision", "bf16", "--steps", "5", "--repeats", "1")
_LARGE = ("--size", "large", "--batch", "32", "64", "--precision", "bf16", "--steps", "5", "--repeats", "1")
_FEW = ("--size", "tiny", "--batch", "8", "--precision", "fp32", "--steps", "1", "--repeats", "1")
PARTS = [
    Part("checks", 90, _own("checks"), lambda found: found["rows"]),
    Part("masked pretraining, base", 110, _script("masked_pretraining", *_BASE, dry=_FEW), _with_mfu),
    Part("masked pretraining, large", 110, _script("masked_pretraining", *_LARGE, dry=_FEW), _with_mfu),
    Part("engines", 120, _own("engines"), lambda found: found["rows"]),
    Part("coordination, huge and L/14", 70, _script("coordinated", "--size", "huge", "--batch", "16", "--precision", "bf16",
         dry=("--size", "tiny", "--batch", "2", "--steps", "1")), _steps),
    Part("UniFormerV2, large", 60, _script("encoders", "--size", "large", "--batch", "16", "--precision", "bf16", "--repeats", "1",
         dry=("--batch", "1", "--steps", "1", "--repeats", "1", "--models", "UniFormerV2, ours")), _steps),
    Part("masked pretraining, base, compiled", 150, _script("masked_pretraining", *_BASE[:2], "--batch", "128", *_BASE[5:], "--compile",
         dry=_FEW), _with_mfu),
    Part("input pipeline", 60, _own("pipeline"), lambda found: found["rows"]),
    Part("runs", 200, _own("runs"), lambda found: found["rows"]),
]  # fmt: skip


if __name__ == "__main__":
    assert gpu_parts.__doc__  # gpu_parts.py is in the same folder
    main()
