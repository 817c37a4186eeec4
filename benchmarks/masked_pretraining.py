"""One optimiser step of masked pretraining against transformers' VideoMAEForPreTraining: same weights, clips, mask.

    python benchmarks/masked_pretraining.py --size base --batch 4
    python benchmarks/masked_pretraining.py --device cuda --size large --batch 8 16 32 --compile --out result.json

Each measurement runs in its own process, so that its peak memory is its own; the two sides take turns. A step is a full
training step: forward, loss on normalised pixels, backward, fused AdamW. `share of roof` is the step's useful
operations (three times the forward pass, counted) per second, divided by the rate of a large matrix product in the same
run and precision. `cpu seconds` is processor time, which is more reliable than the wall clock on a shared machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import machine
import torch


def main() -> None:
    args = _arguments().parse_args()
    if args.worker:
        print(json.dumps(_measure(args)))
        return
    roof = {precision: machine.matmul_roof(machine.PRECISIONS[precision], args.device) for precision in args.precision}
    rows = []
    for batch in args.batch:
        for precision in args.precision:
            rows += _compare(args, batch, precision, roof[precision])
    report = {"size": args.size, "device": machine.name(args.device), "threads": torch.get_num_threads(), "rows": rows}
    report["roof_flops"] = roof
    print(machine.roof_line(roof), machine.table([_shown(row) for row in rows]), sep="\n")
    print(_verdict(rows))
    if args.out:
        Path(args.out).write_text(json.dumps(report, indent=1))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base")
    parser.add_argument("--batch", type=int, nargs="+", default=[4])
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=machine.PRECISIONS)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--compile", action="store_true", help="also measure both under torch.compile")
    parser.add_argument("--steps", type=int, default=3, help="measured steps, after one to warm up")
    parser.add_argument("--repeats", type=int, default=2, help="processes for each side, taking turns")
    parser.add_argument("--mask-ratio", type=float, default=0.9)
    parser.add_argument(
        "--activation_checkpointing", default="selective", choices=["nothing", "selective", "full"], help="ours only"
    )
    parser.add_argument("--out", help="write the numbers to this JSON file")
    parser.add_argument("--worker", nargs=3, metavar=("SIDE", "PRECISION", "COMPILE"), help=argparse.SUPPRESS)
    return parser


def _compare(args, batch: int, precision: str, roof: float) -> list[dict]:
    """Measures both sides at one batch size and precision, in turns; the fastest process of each counts."""
    rows = []
    for compiled in [False, True] if args.compile else [False]:
        runs = {"ours": [], "transformers": []}
        for _ in range(args.repeats):
            for side, found in runs.items():
                found.append(_in_a_process(args, side, batch, precision, compiled))
        for side, found in runs.items():
            best = machine.fastest(found, args.device)
            best |= {"side": side, "batch": batch, "precision": precision, "compile": compiled}
            best["clips_per_second"] = batch / best["seconds"]
            best["share_of_roof"] = 3 * best["forward_flops"] / best["seconds"] / roof
            rows.append(best)
    return rows


def _in_a_process(args, side: str, batch: int, precision: str, compiled: bool) -> dict:
    own = [
        sys.executable,
        __file__,
        "--worker",
        side,
        precision,
        str(int(compiled)),
        "--size",
        args.size,
        "--batch",
        str(batch),
    ]
    rest = ["--device", args.device, "--steps", str(args.steps), "--mask-ratio", str(args.mask_ratio)]
    rest += ["--activation_checkpointing", args.activation_checkpointing]
    out = subprocess.run([*own, *rest], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.splitlines()[-1])


def _measure(args) -> dict:
    """Runs in the worker process."""
    side, precision, compiled = args.worker
    step, flops = build_step(args, side, machine.PRECISIONS[precision], compiled == "1")
    return machine.timed_steps(step, args.steps, args.device) | {"forward_flops": flops}


def build_step(args, side: str, dtype: torch.dtype, compiled: bool):
    """A function that does one optimiser step and returns the loss; and the useful operations of its forward pass."""
    from ivcore import masking
    from ivcore.encoders.checkpointing import set_activation_checkpointing
    from ivcore.encoders.videomae import MaskedAutoencoder

    size, batch, device, ratio = args.size, args.batch[0], args.device, args.mask_ratio
    torch.manual_seed(0)
    model = MaskedAutoencoder(size)
    set_activation_checkpointing(model, args.activation_checkpointing)
    shape = model.size
    mask = masking.tube(batch, shape.grid, ratio, torch.Generator().manual_seed(0))
    frames = torch.randint(0, 256, (batch, shape.frames, shape.image, shape.image, 3), dtype=torch.uint8)
    video = model.prepare(frames).to(device)
    loss = _our_loss(model, device, compiled) if side == "ours" else _their_loss(model, device, compiled)
    parameters = loss.parameters
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)

    def step() -> float:
        with torch.autocast(device, dtype, enabled=dtype is not torch.float32):
            value = loss(video, mask)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(value.detach())

    return step, batch * forward_flops(size, ratio)


def forward_flops(size: str, ratio: float) -> int:
    """Operations of the forward pass for one clip (the same number for every side)."""
    from ivcore.costs import cards

    assert ratio == 0.9, "the model card is for 90 % hidden"
    return next(cards([f"VideoMAE {size}, pretraining, 90% hidden"])).operations


def _our_loss(model, device: str, compiled: bool):
    from ivcore.losses.reconstruction import reconstruction, targets
    from ivcore.masking import split

    model = model.to(device)
    predict = torch.compile(model.predict) if compiled else model.predict

    def loss(video, mask):
        visible, hidden = (part.to(device) for part in split(mask))
        target = targets(video, hidden, model.size.patch, model.size.tubelet)
        return reconstruction(predict(video, visible, hidden), target)

    loss.parameters = list(model.parameters())
    return loss


def _their_loss(model, device: str, compiled: bool):
    import transformers

    from ivcore.weights.videomae import to_transformers

    state, config = to_transformers(model)
    kind = getattr(transformers, config.pop("architectures")[0])
    peer = kind(transformers.VideoMAEConfig(**config))
    peer.load_state_dict(state)
    peer = peer.to(device)
    forward = torch.compile(peer) if compiled else peer

    def loss(video, mask):
        return forward(video.transpose(1, 2).contiguous(), bool_masked_pos=mask.to(device)).loss

    loss.parameters = list(peer.parameters())
    return loss


def _shown(row: dict) -> dict[str, str]:
    return {
        "side": row["side"],
        "batch": str(row["batch"]),
        "precision": row["precision"],
        "compile": str(row["compile"]),
        "s/step": f"{row['seconds']:.2f}",
        "cpu s": f"{row['cpu_seconds']:.2f}",
        "clips/s": f"{row['clips_per_second']:.2f}",
        "peak GiB": f"{row['peak_bytes'] / 2**30:.2f}",
        "share of roof": f"{row['share_of_roof']:.0%}",
        "first loss": f"{row['first_loss']:.5f}",
    }


def _verdict(rows: list[dict]) -> str:
    """Ratios of ours to theirs: at equal precision, and each in its best mode."""
    lines = []
    sides = {side: [r for r in rows if r["side"] == side] for side in ("ours", "transformers")}
    for a, b in zip(sides["ours"], sides["transformers"], strict=True):
        lines.append(
            f"batch {a['batch']} {a['precision']}{' compiled' if a['compile'] else ''}: "
            f"{b['seconds'] / a['seconds']:.2f} times as fast (processor time {b['cpu_seconds'] / a['cpu_seconds']:.2f}), "
            f"{a['peak_bytes'] / b['peak_bytes']:.2f} of the peak memory"
        )
    best = {side: max(found, key=lambda r: r["clips_per_second"]) for side, found in sides.items()}
    ratio = best["ours"]["clips_per_second"] / best["transformers"]["clips_per_second"]
    memory = best["ours"]["peak_bytes"] / best["transformers"]["peak_bytes"]
    lines.append(f"each in its best mode: {ratio:.2f} times as fast, {memory:.2f} of the peak memory")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
