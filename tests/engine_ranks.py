"""Runs of every engine on one rank and on two (gloo, CPU): `python engine_ranks.py FOLDER`; each rank writes FOLDER/RANK-of-WORLD.pt.

One process imports torch and DeepSpeed, and forks the three ranks.
"""

import itertools
import json
import math
import os
import shutil
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import small_video_text as small
import torch
from rank_processes import free_port, run_together
from safetensors.torch import load_file

from ivcore import distributed, masking
from ivcore.cma import Coordinated
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import UserError
from ivcore.losses.contrastive import clamp_
from ivcore.losses.video_text import VideoTextLoss
from ivcore.stages.cross_model import interaction_loss
from ivcore.stages.masked import masked_loss
from ivcore.train import Batches, InMemory, Recipe, train

STEPS, BATCH, CLIPS = 50, 4, 16


def _videos(frames, size):
    return torch.randint(
        0, 256, (CLIPS, frames, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2)
    )


def masked():
    """Notebook 10: masks are drawn from the run's generator."""
    torch.manual_seed(0)
    model = MaskedAutoencoder("tiny", width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, image=16, frames=4)
    draw = lambda count, grid, generator: masking.tube(count, grid, 0.5, generator)  # noqa: E731
    return model, masked_loss(draw), InMemory(video=_videos(4, 16))


def video_text():
    """Notebook 11: the contrastive term looks at all ranks."""
    columns = {name: column for name, column in small.batch(CLIPS).items() if name != "caption_id"}
    return small.model(dtype=torch.float32), VideoTextLoss(), InMemory(**columns)


def coordinated():
    """Notebook 13: two frozen encoders, gates without a dimension."""
    torch.manual_seed(0)
    one = VideoClassifier("tiny", 3, width=16, depth=2, heads=2, image=16, frames=4)
    other = UniFormerV2(16, 2, 2, 8, 16, 3, (0, 1))
    model = Coordinated(one, other, frames=2, stages=2, gate=0.1, head_drop=0.0, dropout=0.0)
    labels = torch.randint(3, (CLIPS,), generator=torch.Generator().manual_seed(3))
    return model, partial(interaction_loss, branches=0.5), InMemory(video=_videos(6, 16), label=labels)


class Tempered(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.logit_scale = torch.nn.Linear(2, 1), torch.nn.Parameter(torch.tensor(4.58))
        self.register_buffer("seen", torch.zeros(()))


def bounded():
    """A temperature that the loss keeps in bounds: driven beyond them for five steps, and back."""
    torch.manual_seed(0)

    def loss(model, batch, generator):
        clamp_(model.logit_scale)
        model.seen += 1
        way = -1 if model.seen <= 5 else 1
        value = model.layer(batch["x"]).square().mean()
        return value + way * model.logit_scale, {"logit_scale": model.logit_scale.detach().clone()}

    return Tempered(), loss, InMemory(x=torch.randn(CLIPS, 2, generator=torch.Generator().manual_seed(1)))


STAGES = {"10": masked, "11": video_text, "13": coordinated, "bounded": bounded}
# plain is ddp on two ranks and ddp plain on one, and zero1 and zero2 are one class of DeepSpeed's
COMPARED = {"plain": ("10", "11", "13"), "ddp": ("10", "11", "13"), "fsdp": ("10", "11", "13"), "zero1": ("10",),
            "zero2": ("10", "11", "13"), "zero3": ("10", "11", "13")}  # fmt: skip
IN_PIECES = ("plain", "fsdp", "zero2")
BOUNDED = ("plain", "zero1", "zero2", "zero3")
SPOILT = ("plain", "fsdp", "zero1", "zero2", "zero3")
MODES = [
    *((engine, {"precision": precision}) for engine in ("plain", "fsdp", "zero1", "zero2", "zero3") for precision in ("bf16", "fp16")),
    *((engine, {"offload": what}) for engine in ("fsdp", "zero1", "zero2", "zero3") for what in ("optimizer", "all")),
    ("zero3", {"compile": True}),
]  # fmt: skip
KILLED = {
    "plain": "fsdp",
    "fsdp": "zero1",
    "zero1": "zero2",
    "zero2": "zero3",
    "zero3": "plain",
}  # and what goes on in its place
MOVED = {"zero3": "plain", "fsdp": "zero1", "zero1": "fsdp"}


def recipe(engine, **changes):
    numbers = {
        "batch_size": BATCH,
        "lr": 1e-3,
        "steps": STEPS,
        "warmup_steps": 5,
        "clip_grad": 1.0,
        "eps": 1e-6,
        "log_every": 1,
    }
    return Recipe(**numbers | {"engine": engine, "seed": 4} | changes)


def run(stage, engine, folder, callback=None, **changes):
    model, loss, source = STAGES[stage]()
    history = train(model, loss, Batches(source, BATCH, seed=5), recipe(engine, **changes), folder, log=callback)
    return history.series("loss")[1], model.state_dict(), history.resumed_from


class Killed(Exception):
    pass


def killed(stage, engine, folder, at, **changes):
    """A run that ends without a word after a checkpoint."""
    model, loss, source = STAGES[stage]()

    def dying(model, batch, generator):
        dying.steps += 1
        if dying.steps > at:
            raise Killed
        return loss(model, batch, generator)

    dying.steps = 0
    try:
        train(model, dying, Batches(source, BATCH, seed=5), recipe(engine, checkpoint_seconds=0, **changes), folder)
    except Killed:
        return


def refused_or(trained):
    """What it gives, or the line with which it is refused."""
    try:
        return trained()
    except UserError as error:
        return str(error)


def spoilt(engine, what, folder):
    """A run whose fourth loss, or only its gradient, is not finite -> (the line it ends with, how far the caller's weights are from the third checkpoint's)."""
    model, loss, source = STAGES["10"]()
    calls = itertools.count()

    def spoiling(model, batch, generator):
        value, numbers = loss(model, batch, generator)
        if next(calls) == 3:  # a root has no slope at 0
            value = value + (math.nan if what == "loss" else (0 * value).abs().sqrt())
        return value, numbers

    changes = {"steps": 10, "checkpoint_seconds": 0, "log_every": 5}
    said = refused_or(lambda: train(model, spoiling, Batches(source, BATCH, seed=5), recipe(engine, **changes), folder))
    kept = load_file(folder / "checkpoints" / "step-00000003.safetensors")
    apart = [(p.detach() - kept[name]).abs().max().item() for name, p in model.named_parameters()]
    return said, max(apart)


def everything(folder, world):
    found = {}
    for engine, stages in COMPARED.items():
        for stage in stages:
            cut = {"engine_config": str(folder / "cut.json")} if engine == "zero3" else {}  # or tiny weights stay whole
            found[f"{stage} {engine}"] = run(stage, engine, folder / f"{world} {stage} {engine}", **cut)
    for engine in IN_PIECES:
        place = folder / f"{world} pieces {engine}"
        found[f"pieces {engine}"] = run("11", engine, place, micro_batch=2 // world, steps=10)
    for engine in BOUNDED:
        place = folder / f"{world} bounded {engine}"
        run("bounded", engine, place, steps=10, lr=2e-2)
        found[f"bounded {engine}"] = [json.loads(line)["logit_scale"] for line in (place / "train.jsonl").read_text().splitlines()]  # fmt: skip
    for engine, changes in MODES:
        name = f"{engine} {changes}"
        found[name] = refused_or(lambda: run("10", engine, folder / f"{world} {name}", steps=8, **changes))  # noqa: B023
    for engine in SPOILT:
        for what in ("loss", "gradient norm"):
            found[f"spoilt {what} {engine}"] = spoilt(engine, what, folder / f"{world} spoilt {what} {engine}")
    if world == 2:  # numbers of weights that do not divide by two, and one without a dimension
        killed("bounded", "zero3", folder / "resumed", 6, steps=10, lr=2e-2)
        found["resumed"] = run("bounded", "zero3", folder / "resumed", steps=10, lr=2e-2)
        found["not resumed"] = run("bounded", "zero3", folder / "not resumed", steps=10, lr=2e-2)
        found["bounded in bf16"] = run("bounded", "zero3", folder / "bounded in bf16", steps=10, precision="bf16")[0]
    if world == 1:
        found["refused"] = refused_or(lambda: run("11", "zero3", folder / "refused", micro_batch=1, steps=2))
        found["whole"] = run("11", "plain", folder / "whole", steps=10)
        found["whole of 10"] = run("10", "plain", folder / "whole of 10", steps=8)
        for engine in KILLED:
            killed("10", engine, folder / f"killed {engine}", 6, steps=10)
            shutil.copytree(folder / f"killed {engine}", folder / f"changed {engine}")
            found[f"killed {engine}"] = run("10", engine, folder / f"killed {engine}", steps=10)
            found[f"unkilled {engine}"] = run("10", engine, folder / f"unkilled {engine}", steps=10)
            found[f"changed {engine}"] = run("10", KILLED[engine], folder / f"changed {engine}", steps=10)
    for engine, then in MOVED.items():  # one rank goes on with what two have begun
        place = folder / f"moved {engine}"
        if world == 2:
            killed("10", engine, place, 6, steps=10)
        else:
            wait_for(folder / "0-of-2.pt")
            found[f"moved {engine}"] = run("10", then, place, steps=10)
    return found


def wait_for(file):
    deadline = time.monotonic() + 300
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def start(folder, rank, world, port):
    if world > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(world),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
    torch.set_num_threads(1)
    distributed.init_process_group(torch.device("cpu"))
    results = everything(folder, world)
    torch.save(results, scratch := folder / f"{rank}-of-{world}.tmp")
    scratch.rename(folder / f"{rank}-of-{world}.pt")


if __name__ == "__main__":
    os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed  # noqa: F401  once for all ranks

    (place := Path(sys.argv[1])).mkdir(exist_ok=True)
    (place / "cut.json").write_text(json.dumps({"zero_optimization": {"stage3_param_persistence_threshold": 16}}))
    warnings.simplefilter("ignore")
    port = free_port()
    sys.exit(run_together([partial(start, place, rank, world, port) for rank, world in ((0, 2), (1, 2), (0, 1))]))
