"""Overhead of the training loop per step over a minimal hand-written loop, on a model too small to matter.

    python benchmarks/training_loop.py [--steps 1000] [--out FILE]

Both loops run the same forward, backward and fused AdamW step on the same batches, in turns, in one process. Times are
CPU time of the process, the minimum over several rounds, so that other work on the machine has little effect. The
training loop adds: fetching by step number, gradient norm, the check for non-finite numbers, schedule, log, progress,
checkpoint clock.
"""

import argparse
import contextlib
import io
import json
import tempfile
import time

import torch
from torch import nn

from ivcore.train import Batches, InMemory, Recipe, train

BATCH = 64


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))


def loss(network, batch, generator):
    value = (network(batch["x"]) - batch["x"]).square().mean()
    return value, {"again": value}


def by_hand(x: torch.Tensor, steps: int, clip_grad: float | None = None) -> None:
    network = model()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    for step in range(steps):
        start = step * BATCH % (len(x) - BATCH)
        value, _ = loss(network, {"x": x[start : start + BATCH]}, None)
        value.backward()
        if clip_grad:
            nn.utils.clip_grad_norm_(network.parameters(), clip_grad)
        optimizer.step()
        optimizer.zero_grad()


def ours(x: torch.Tensor, steps: int, **options) -> None:
    batches = Batches(InMemory(x=x, path=[f"{i}.mp4" for i in range(len(x))]), BATCH)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        train(model(), loss, batches, Recipe(batch_size=BATCH, lr=1e-3, steps=steps, **options), folder)


def cost(run, *given, **options) -> float:
    """CPU milliseconds per step."""
    begun = time.process_time()
    run(*given, **options)
    return 1000 * (time.process_time() - begun) / given[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    x = torch.randn(2048, 8)
    clip = {"clip_grad": 1.0}
    rows = {"by hand": (by_hand, {}), "train()": (ours, {})}
    rows |= {"by hand, clipping": (by_hand, clip), "train(), clipping": (ours, clip)}
    least = dict.fromkeys(rows, float("inf"))
    for _ in range(chosen.rounds):
        for name, (run, options) in rows.items():
            least[name] = min(least[name], cost(run, x, chosen.steps, **options))
    for name, value in least.items():
        print(f"{name:20s} {value:.3f} ms a step   {value - least[name.replace('train()', 'by hand')]:+.3f}")
    if chosen.out:
        with open(chosen.out, "w") as file:
            json.dump({"milliseconds_per_step": least, "steps": chosen.steps}, file, indent=1)


if __name__ == "__main__":
    main()
