"""Parts of gpu.py without a benchmark script of their own: python benchmarks/gpu_parts.py NAME DEVICE FILE.

checks     each encoder's outputs on the device against the CPU; resumed against whole training; waits for the device
engines    a training step of VideoMAE-B by each engine, alone on the device: seconds and peak memory
pipeline   clips a second from memory and from decoding workers, in the size of the box's masked encoder
runs       notebooks 10 and 13 at tiny, from the beginning
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import machine
import torch

from ivcore import scaling
from ivcore.data.batches import Batches, InMemory
from ivcore.encoders.sizes import size
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.masking import tube
from ivcore.stages import masked
from ivcore.train import Recipe, train


def main() -> None:
    name, device, file = sys.argv[1:]
    if name.startswith("engine:"):
        print(json.dumps(_engine(name.removeprefix("engine:"), device)))
        return
    rows = {"checks": checks, "engines": engines, "pipeline": pipeline, "runs": runs}[name](device, Path(file))
    Path(file).write_text(json.dumps({"rows": rows}))


def checks(device: str, file: Path) -> list[dict]:
    rows = [
        {"check": f"{name}, float32, largest difference to the CPU", "value": value} for name, value in _equal(device)
    ]
    rows.append({"check": "a stopped training goes on: largest difference of a weight", "value": _resumed(device)})
    waits, where = _waits(device)
    return [*rows, {"check": f"waits for the device in 20 steps {where}".strip(), "value": waits}]


def _equal(device: str):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    dry = device == "cpu"
    models = {
        "VideoMAE": VideoClassifier("tiny" if dry else "base", 10),
        "UniFormerV2": UniFormerV2(96, 3, 3, 8, 32, 10, range(3)) if dry else UniFormerV2(768, 12, 12, 16, 224, 10),
    }
    for name, model in models.items():
        model.eval()
        video = torch.rand(2, 3, 8 if dry or name == "UniFormerV2" else 16, *(2 * [32 if dry else 224]))
        with torch.inference_mode():
            here = model(video)
            there = model.to(device)(video.to(device)).cpu()
        yield name, float((here - there).abs().max() / here.abs().max())


def _training(device: str, folder: Path, steps: int, stop: int | None = None, **options):
    """Trains a tiny masked encoder on random clips; stop: the step at which it is interrupted."""
    torch.manual_seed(0)
    model = MaskedAutoencoder("tiny").to(device)
    clips = torch.randint(0, 256, (64, 8, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    loss = masked.masked_loss(lambda count, grid, generator: tube(count, grid, 0.75, generator))

    def stopping(model, batch, generator):
        nonlocal stop
        stop = None if stop is None else stop - 1
        if stop == 0:
            raise KeyboardInterrupt
        return loss(model, batch, generator)

    batches = Batches(InMemory(video=clips, path=[f"{i}.mp4" for i in range(64)]), 16)
    recipe = Recipe(batch_size=16, lr=1e-3, steps=steps, **{"log_every": 1000, "checkpoint_seconds": 1e-9} | options)
    train(model, stopping, batches, recipe, folder)
    return model


def _resumed(device: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        whole = _training(device, Path(folder) / "whole", 20)
        with contextlib.suppress(KeyboardInterrupt):
            _training(device, Path(folder) / "stopped", 20, stop=11)
        again = _training(device, Path(folder) / "stopped", 20)
    pairs = zip(whole.state_dict().values(), again.state_dict().values())
    return max(float((a.float() - b.float()).abs().max()) for a, b in pairs)


def _waits(device: str) -> tuple[int, str]:
    """Number of torch's warnings that the CPU waited, in steps without log line or checkpoint, and the place of the
    first.
    """
    if device == "cpu":
        return 0, "(there is none)"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        _training(device, Path(folder), 21, checkpoint_seconds=1e5)
        torch.cuda.set_sync_debug_mode("default")
    waits = [each for each in said if "synchronizing" in str(each.message)]
    return len(waits), f"(first at {Path(waits[0].filename).name}:{waits[0].lineno})" if waits else ""


def pipeline(device: str, file: Path) -> list[dict]:
    from ivcore.data.memory import load
    from ivcore.data.sources import training_clips
    from ivcore.data.videos import video_splits

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        (videos,) = video_splits({"train": ""}, train=240, run_dir=folder)
        clip = {"num_frames": 8, "stride": 2, "size": 32}
        sources = {"memory": (training_clips(load(videos.records, 32, run_dir=folder).readable(), **clip, seed=0), 0)}
        for workers in (1, 4, 8) if device == "cuda" else (1,):
            sources[f"files, {workers} workers"] = (training_clips(videos.records, **clip, seed=0), workers)
        for name, (source, workers) in sources.items():
            batches = Batches(source, 32, 0, num_workers=workers)
            steps = iter(batches.iter_from(0, 24))
            next(steps)
            began, count = time.perf_counter(), 0
            for batch in steps:
                batch["video"].to(device, non_blocking=True)
                count += len(batch["video"])
            machine.wait(device)
            rows.append({"clips from": name, "clips/s": count / (time.perf_counter() - began)})
    return rows


def runs(device: str, file: Path) -> list[dict]:
    """Notebook 13 runs 10, 11 and 12 first."""
    preset, rows = ("tiny", []) if device == "cuda" else ("quick", [])
    for number in ("10", "13"):
        began = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", "ivcore.run", number, preset, "-p", f"device={device}"],
            capture_output=True,
            text=True,
        )
        last = (ended.stdout + ended.stderr).strip().splitlines()[-1:]
        rows.append(
            {
                "run": f"{number} {preset}",
                "status": ended.returncode,
                "s": time.perf_counter() - began,
                "said": "".join(last)[:120],
            }
        )
        file.write_text(json.dumps({"rows": rows}))
    return rows


def engines(device: str, file: Path) -> list[dict]:
    """Measures each engine in its own process, so that its peak memory is its own."""
    rows = []
    for engine in scaling.ENGINES:
        ended = subprocess.run(
            [sys.executable, __file__, f"engine:{engine}", device, "-"], capture_output=True, text=True
        )
        lines = (ended.stdout if ended.returncode == 0 else ended.stderr).strip().splitlines()
        rows += (
            json.loads(lines[-1]) if ended.returncode == 0 else [{"engine": engine, "said": "".join(lines[-1:])[:200]}]
        )
        file.write_text(json.dumps({"rows": rows}))
    return rows


def _engine(engine: str, device: str) -> list[dict]:
    """VideoMAE-B with its decoder, 32 clips a step in bf16 (on the CPU: tiny, float32)."""
    dry = device == "cpu"
    shape, batch = size("tiny" if dry else "base"), 8 if dry else 32
    torch.manual_seed(0)
    model = MaskedAutoencoder(shape).to(device)
    clips = torch.randint(0, 256, (batch, shape.frames, shape.image, shape.image, 3), dtype=torch.uint8)
    loss = masked.masked_loss(lambda count, grid, generator: tube(count, grid, 0.9 if not dry else 0.75, generator))
    batches = Batches(InMemory(video=clips, path=[f"{i}.mp4" for i in range(batch)]), batch)
    recipe = Recipe(
        batch_size=batch, lr=1e-4, steps=16, engine=engine, precision="fp32" if dry else "bf16", log_every=8
    )
    machine.reset_peak(device)
    with tempfile.TemporaryDirectory() as folder:
        history = train(model, loss, batches, recipe, folder)
    return [
        {
            "engine": engine,
            "clips/s": history.last("clips_per_s"),
            "GiB": machine.peak(device) / 2**30,
            "loss": history.last("loss"),
        }
    ]


if __name__ == "__main__":
    main()
