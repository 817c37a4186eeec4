"""Forward and backward passes of the encoders, compared with transformers' encoders on the same clips.

    python benchmarks/encoders.py --batch 2
    python benchmarks/encoders.py --device cuda --precision bf16 --batch 16 --out result.json

VideoMAE fine-tuning is compared with transformers' VideoMAEForVideoClassification (same weights). UniFormerV2 is
compared with what transformers offers for clips on a CLIP backbone: X-CLIP's video tower, and CLIP applied frame by
frame. Each measurement runs in its own process; sides take turns. `GFLOP/step` is three times each model's own forward
pass, counted. X-CLIP and CLIP are other networks, so they are a reference, not an equivalent.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import machine
import torch

import ivcore  # noqa: F401  before transformers, which imports torchvision

FRAMES, IMAGE = 8, 224


def main() -> None:
    args = _arguments().parse_args()
    if args.worker:
        print(json.dumps(_measure(args)))
        return
    roof = {precision: machine.matmul_roof(machine.PRECISIONS[precision], args.device) for precision in args.precision}
    rows = [row for precision in args.precision for row in _rows(args, precision, roof[precision])]
    print(machine.roof_line(roof), machine.table([_shown(row) for row in rows]), sep="\n")
    if args.out:
        Path(args.out).write_text(
            json.dumps({"device": machine.name(args.device), "roof_flops": roof, "rows": rows}, indent=1)
        )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=machine.PRECISIONS)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--size", default="base", choices=["base", "large"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", help="write the numbers to this JSON file")
    parser.add_argument("--worker", nargs=2, metavar=("MODEL", "PRECISION"), help=argparse.SUPPRESS)
    return parser


def _rows(args, precision: str, roof: float) -> list[dict]:
    runs = {name: [] for name in args.models}
    for _ in range(args.repeats):
        for name, found in runs.items():
            found.append(_in_a_process(args, name, precision))
    rows = []
    for name, found in runs.items():
        best = machine.fastest(found, args.device)
        share = best["step_flops"] / best["seconds"] / roof
        rows.append({"model": name, "precision": precision, "batch": args.batch, "share_of_roof": share, **best})
    return rows


def _in_a_process(args, name: str, precision: str) -> dict:
    own = [sys.executable, __file__, "--worker", name, precision, "--batch", str(args.batch), "--device", args.device]
    rest = ["--steps", str(args.steps), "--size", args.size, *(["--compile"] if args.compile else [])]
    out = subprocess.run([*own, *rest], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.splitlines()[-1])


def _measure(args) -> dict:
    from torch.utils.flop_counter import FlopCounterMode

    name, precision = args.worker
    torch.manual_seed(0)
    model, clip = MODELS[name](args.size)
    model = model.to(args.device).train()
    video = torch.randn(args.batch, 3, *clip).to(args.device)
    run = torch.compile(model) if args.compile else model

    def forward():
        with torch.autocast(args.device, machine.PRECISIONS[precision], enabled=precision != "fp32"):
            return run(video)

    with FlopCounterMode(display=False, custom_mapping=_fused_attention()) as counter:
        out = model(video)
    out.float().square().mean().backward()
    step_flops = 3 * counter.get_total_flops()  # the backward pass's own count has too many for depthwise convolutions
    forwards, steps = [], []
    machine.reset_peak(args.device)
    for _ in range(args.steps):
        with torch.no_grad():
            forwards.append(machine.timed(forward, args.device)[0])
        steps.append(machine.timed(lambda: forward().float().square().mean().backward(), args.device))
        model.zero_grad(set_to_none=True)
    seconds, cpu_seconds = (statistics.median(times) for times in zip(*steps, strict=True))
    return {
        "seconds": seconds,
        "forward_seconds": statistics.median(forwards),
        "cpu_seconds": cpu_seconds,
        "step_flops": step_flops,
        "peak_bytes": machine.peak(args.device),
    }


def _fused_attention() -> dict:
    """Adds the CPU's fused attention kernel to torch's count, which has the other fused kernels."""
    from torch.utils.flop_counter import sdpa_flop_count

    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return {fused: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)}


# --- the models: each returns a module that takes (B, 3, T, H, W), and its clip -------------------------------------


def _our_videomae(size: str):
    from ivcore.encoders.videomae import VideoClassifier

    return VideoClassifier(size, 400), (16, IMAGE, IMAGE)


def _their_videomae(size: str):
    import transformers

    from ivcore.weights.videomae import to_transformers

    ours, clip = _our_videomae(size)
    state, config = to_transformers(ours)
    config.pop("architectures")
    peer = transformers.VideoMAEForVideoClassification(transformers.VideoMAEConfig(**config))
    peer.load_state_dict(state)
    return _Reads(peer, lambda model, video: model(video.transpose(1, 2)).logits), clip


def _uniformerv2(size: str):
    from ivcore.encoders.uniformerv2 import UniFormerV2

    width, layers, heads, patch = _vit(size)
    return UniFormerV2(width, layers, heads, patch, IMAGE, 400), (FRAMES, IMAGE, IMAGE)


def _xclip(size: str):
    import transformers

    width, layers, heads, patch = _vit(size)
    config = transformers.XCLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        patch_size=patch,
        image_size=IMAGE,
        num_frames=FRAMES,
        mit_hidden_size=width,
        mit_intermediate_size=4 * width,
    )
    read = lambda model, video: model(video.transpose(1, 2).flatten(0, 1)).pooler_output  # noqa: E731
    return _Reads(transformers.XCLIPVisionModel(config), read), (FRAMES, IMAGE, IMAGE)


def _clip(size: str):
    import transformers

    width, layers, heads, patch = _vit(size)
    shape = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }
    config = transformers.CLIPVisionConfig(patch_size=patch, image_size=IMAGE, **shape)

    def read(model, video):
        frames = model(video.transpose(1, 2).flatten(0, 1)).pooler_output
        return frames.unflatten(0, (-1, FRAMES)).mean(1)

    return _Reads(transformers.CLIPVisionModel(config), read), (FRAMES, IMAGE, IMAGE)


def _vit(size: str) -> tuple[int, int, int, int]:
    return {"base": (768, 12, 12, 16), "large": (1024, 24, 16, 14)}[size]


class _Reads(torch.nn.Module):
    """Gives another library's model the input format of ours."""

    def __init__(self, model: torch.nn.Module, read):
        super().__init__()
        self.model, self.read = model, read

    def forward(self, video):
        return self.read(self.model, video)


MODELS = {
    "VideoMAE, ours": _our_videomae,
    "VideoMAE, transformers": _their_videomae,
    "UniFormerV2, ours": _uniformerv2,
    "X-CLIP, transformers": _xclip,
    "CLIP by frame, transformers": _clip,
}


def _shown(row: dict) -> dict[str, str]:
    return {
        "model": row["model"],
        "precision": row["precision"],
        "batch": str(row["batch"]),
        "GFLOP/step": f"{row['step_flops'] / 1e9:.0f}",
        "forward s": f"{row['forward_seconds']:.2f}",
        "step s": f"{row['seconds']:.2f}",
        "cpu s": f"{row['cpu_seconds']:.2f}",
        "clips/s": f"{row['batch'] / row['seconds']:.2f}",
        "peak GiB": f"{row['peak_bytes'] / 2**30:.2f}",
        "share of roof": f"{row['share_of_roof']:.0%}",
    }


if __name__ == "__main__":
    main()
