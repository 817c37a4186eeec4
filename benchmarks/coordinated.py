"""A training step of the coordinated model with frozen encoders, compared with the same step with naive freezing.

    python benchmarks/coordinated.py --size base --batch 2
    python benchmarks/coordinated.py --device cuda --size huge --batch 8 --precision bf16 --out result.json

Both sides have the same weights, clips and trained parameters, and get the same gradients. `naive` freezes by leaving
the encoders out of the optimiser: autograd keeps every activation and computes every gradient. `frozen` is
`ivcore.cma.Coordinated` (its modules recompute norms and GELU in the backward pass). `--activation_checkpointing` adds
variants of it in which the encoders recompute these or whole blocks too. `cached` is a step on stored frozen features.

Each measurement runs in its own process, so that its peak memory is its own; the sides take turns. On the CPU all of
them return freed memory at once (otherwise the allocator keeps holes between tensors, which would be counted), so the
peak is what a step needs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import machine
import torch

PAIRS = {  # VideoMAE size -> UniFormerV2 (width, layers, heads, patch), image
    "tiny": ((128, 4, 4, 8), 32),
    "base": ((768, 12, 12, 16), 224),
    "large": ((1024, 24, 16, 14), 224),
    "huge": ((1024, 24, 16, 14), 224),
}
CLASSES = 400
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**20), "MALLOC_TRIM_THRESHOLD_": str(2**20)}  # glibc's allocator


def main() -> None:
    args = _arguments().parse_args()
    if args.worker:
        print(json.dumps(_measure(args)))
        return
    sides = ["naive", "frozen", *(f"frozen, {what} again" for what in args.activation_checkpointing), "cached"]
    runs: dict[str, list] = {side: [] for side in sides}
    for _ in range(args.repeats):
        for side, found in runs.items():
            found.append(_in_a_process(args, side))
            print(f"{side}: {found[-1]}", file=sys.stderr, flush=True)
    rows = [_best(side, found, args.device) for side, found in runs.items()]
    report = {"size": args.size, "batch": args.batch, "precision": args.precision, "rows": rows}
    report |= {"device": machine.name(args.device), "threads": torch.get_num_threads()}
    print(_table(rows))
    if args.out:
        Path(args.out).write_text(json.dumps(report, indent=1))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base", choices=PAIRS)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--precision", default="fp32", choices=machine.PRECISIONS)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--stages", type=int, default=4)
    parser.add_argument(
        "--activation_checkpointing", nargs="*", default=["full"], choices=["nothing", "selective", "full"]
    )
    parser.add_argument("--steps", type=int, default=2, help="measured steps, after one to warm up")
    parser.add_argument("--repeats", type=int, default=1, help="processes for each side, taking turns")
    parser.add_argument("--out", help="write the numbers to this JSON file")
    parser.add_argument("--worker", metavar="SIDE", help=argparse.SUPPRESS)
    return parser


def _in_a_process(args, side: str) -> dict:
    own = [sys.executable, __file__, "--worker", side, "--size", args.size, "--batch", str(args.batch)]
    own += ["--precision", args.precision, "--device", args.device, "--steps", str(args.steps)]
    out = subprocess.run(
        [*own, "--stages", str(args.stages)], check=True, stdout=subprocess.PIPE, text=True, env=os.environ | GIVE_BACK
    ).stdout
    return json.loads(out.splitlines()[-1])


def _best(side: str, found: list[dict], device: str) -> dict:
    """The fastest process of a side, with the lowest peak memory of all."""
    best = min(found, key=lambda run: run["cpu_seconds"] if device == "cpu" else run["seconds"])
    return best | {"side": side, "peak_bytes": min(run["peak_bytes"] for run in found)}


def _measure(args) -> dict:
    """Runs in the worker process: builds, warms up, times the steps."""
    step = build_step(args, args.worker)
    first_loss = step()
    base = machine.reset_peak(args.device)
    wall, cpu = [], []
    for _ in range(args.steps):
        machine.wait(args.device)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        step()
        machine.wait(args.device)
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - begin_cpu)
    times = {"seconds": statistics.median(wall), "cpu_seconds": statistics.median(cpu)}
    return {**times, "peak_bytes": machine.peak(args.device), "between_steps_bytes": base, "first_loss": first_loss}


def build_step(args, side: str):
    """A function that does one optimiser step and returns the loss."""
    from ivcore.encoders.checkpointing import set_activation_checkpointing
    from ivcore.losses.coordination import coordination

    model, clips = build(args.size, args.batch, args.stages)
    model, clips = model.to(args.device), tuple(clip.to(args.device) for clip in clips)
    trained = [p for p in model.parameters() if p.requires_grad]
    if side == "naive":
        model.frozen = False
        model.requires_grad_(True)
        set_activation_checkpointing(model, "nothing")
    elif "again" in side:
        set_activation_checkpointing(model, side.split()[1])
    frozen = model.encode_frozen(clips) if side == "cached" else None
    labels = torch.arange(args.batch, device=args.device) % CLASSES
    optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=1e-3, fused=True)
    dtype = machine.PRECISIONS[args.precision]

    def step() -> float:
        with torch.autocast(args.device, dtype, enabled=dtype is not torch.float32):
            scores = model(clips) if frozen is None else model.fuse(frozen)
            loss, _ = coordination(scores, labels)
        loss.backward()
        optimizer.step()
        model.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


def build(size: str, batch: int, stages: int):
    """The model with its gates slightly open, and prepared clips."""
    from ivcore.cma import Coordinated
    from ivcore.encoders.uniformerv2 import UniFormerV2
    from ivcore.encoders.videomae import VideoClassifier

    torch.manual_seed(0)
    (width, layers, heads, patch), image = PAIRS[size]
    masked = VideoClassifier(size, CLASSES, init_scale=1.0)
    multimodal = UniFormerV2(width, layers, heads, patch, image, CLASSES)
    model = Coordinated(masked, multimodal, stages=stages, gate=0.1, head_drop=0.0).eval()
    frames = torch.randint(0, 256, (batch, masked.size.frames, image, image, 3), dtype=torch.uint8)
    return model, model.prepare(frames)


def _table(rows: list[dict]) -> str:
    lines = ["side                   s/step   cpu s  peak GiB  of naive: time  cpu   memory  first loss"]
    naive = rows[0]
    for r in rows:
        time_, cpu, memory = (r[name] / naive[name] for name in ("seconds", "cpu_seconds", "peak_bytes"))
        lines.append(
            f"{r['side']:20s} {r['seconds']:8.2f} {r['cpu_seconds']:7.2f} {r['peak_bytes'] / 2**30:9.2f} "
            f"{time_:14.2f} {cpu:5.2f} {memory:7.2f} {r['first_loss']:11.5f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
