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
import subprocess
import sys
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
        print(json.dumps(machine.timed_steps(build_step(args, args.worker), args.steps, args.device)))
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
    print(machine.table([_shown(row, rows[0]) for row in rows]))
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
    return machine.fastest(found, device) | {"side": side, "peak_bytes": min(run["peak_bytes"] for run in found)}


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


def _shown(row: dict, naive: dict) -> dict[str, str]:
    ratios = (row[name] / naive[name] for name in ("seconds", "cpu_seconds", "peak_bytes"))
    return {
        "side": row["side"],
        "s/step": f"{row['seconds']:.2f}",
        "cpu s": f"{row['cpu_seconds']:.2f}",
        "peak GiB": f"{row['peak_bytes'] / 2**30:.2f}",
        **dict(zip(("of naive: time", "cpu", "memory"), (f"{ratio:.2f}" for ratio in ratios), strict=True)),
        "first loss": f"{row['first_loss']:.5f}",
    }


if __name__ == "__main__":
    main()
