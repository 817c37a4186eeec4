"""Two processes that share losses and training runs over gloo: `python two_ranks.py FOLDER`; each writes FOLDER/rank-R.pt.

Importing torch takes seconds, so one process imports it and forks.
"""

import os
import sys
from functools import partial
from pathlib import Path

import small_video_text as small
import torch
from rank_processes import free_port, run_together
from torch import nn

from ivcore import distributed
from ivcore.data.microbatch import micro_batches
from ivcore.errors import UserError
from ivcore.losses.contrastive import contrastive, retrieval_accuracy
from ivcore.losses.video_text import VideoTextLoss
from ivcore.train import Batches, InMemory, Recipe, train
from ivcore.train.engine import Engine

JOINED = 8
LOSSES = {
    "plain": (VideoTextLoss(), 1),
    "chunked": (VideoTextLoss(chunk=3, label_smoothing=0.1), 1),
    "pieces": (VideoTextLoss(captioning=0.5), 3),
}


def shared_loss(name, rank, world):
    """(loss, gradients) of one rank's part of the joined batch, averaged over ranks as training averages them."""
    loss, count = LOSSES[name]
    model = small.model()
    share = JOINED // world
    part = {k: v[rank * share : (rank + 1) * share] for k, v in small.batch(JOINED).items()}
    engine = Engine(model, recipe())
    if name != "plain":
        value, _ = loss.accumulate([piece for piece, _ in micro_batches(part, count)], None, engine)
    else:
        del part["caption_id"]
        value, _ = engine.run(loss, part)
        engine.backward(value)
    return distributed.mean(value.detach()), small.gradients(model)


def embedding_loss(rank, world, chunk, same):
    """(loss, gradients, accuracies) of embeddings alone, summed over ranks and not averaged: a rank's rows are its own."""
    torch.manual_seed(3)
    ids = small.batch(JOINED)["caption_id"]
    share = slice(rank * JOINED // world, (rank + 1) * JOINED // world)
    videos, texts = (torch.randn(JOINED, 6).double()[share].requires_grad_() for _ in range(2))
    scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    ids = ids[share] if same else None
    value = contrastive(videos, texts, scale, ids, chunk)
    value.backward()
    hits = torch.stack(retrieval_accuracy(videos, texts, ids, chunk))
    return {
        "loss": distributed.mean(value.detach()),
        "videos": videos.grad / world,  # each rank's loss is a share
        "texts": texts.grad / world,
        "scale": distributed.mean(scale.grad),
        "hits": distributed.mean(hits),
    }


def recipe(**changes):
    return Recipe(**{"batch_size": JOINED, "lr": 1e-2, "steps": 3, "eps": 1e-3, "log_every": 1, **changes})


def video_text_run(folder, **changes):
    model = small.model(seed=distributed.rank())  # other weights: those of rank 0 count
    columns = {k: v for k, v in small.batch(3 * JOINED).items() if k != "caption_id"}
    history = train(model, VideoTextLoss(), Batches(InMemory(**columns), JOINED), recipe(**changes), folder)
    return model.state_dict(), history.records


class Stop(Exception):
    pass


def restless_run(folder, crash=None, steps=6):
    """Everything random there is: dropout, the loop's generator, items that draw."""

    class Items:
        def __len__(self):
            return 3 * JOINED

        def item(self, index, epoch):
            return {"x": torch.randn(5) + index}

    def loss(model, batch, generator):
        loss.calls += 1
        if loss.calls == crash:
            raise Stop
        noise = torch.rand(batch["x"].shape, generator=generator)
        return (model(batch["x"] + noise) - noise).square().mean(), {"noise": noise.mean()}

    loss.calls = 0
    torch.manual_seed(distributed.rank())
    model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 5))
    chosen = recipe(steps=steps, checkpoint_seconds=0 if crash else 600)
    history = train(model, loss, Batches(Items(), JOINED), chosen, folder)
    return model.state_dict(), history


def nan_run(folder):
    """A loss that is not a number on rank 1 alone."""

    def loss(model, batch, generator):
        value = model(batch["x"]).square().mean()
        return (value * float("nan") if distributed.rank() == 1 else value), {}

    source = InMemory(x=torch.ones(JOINED, 5), path=[f"{i}.mp4" for i in range(JOINED)])
    try:
        train(nn.Linear(5, 5), loss, Batches(source, JOINED, shuffle=False), recipe(), folder)
    except UserError as error:
        return str(error)


def everything(folder, rank, world):
    results = {name: shared_loss(name, rank, world) for name in LOSSES}
    for chunk in (None, 3):
        for same in (False, True):
            results[f"{chunk} {same}"] = embedding_loss(rank, world, chunk, same)
    results["training"] = video_text_run(folder / "training")
    results["accumulated"] = video_text_run(folder / "accumulated", micro_batch=2 if distributed.world() > 1 else 4)[0]
    if world > 1:
        results["whole"] = restless_run(folder / "whole")[0]
        try:
            restless_run(folder / "broken", crash=5)
        except Stop:
            results["resumed"], history = restless_run(folder / "broken")
            results["resumed_from"] = history.resumed_from
        results["nan"] = nan_run(folder / "nan")
        results["generators"] = torch.rand(3)
    return results


def start(folder, rank, port):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    distributed.init_process_group(torch.device("cpu"))
    results = everything(folder, rank, distributed.world())
    results["written"] = sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))
    torch.save(results, folder / f"rank-{rank}.pt")


if __name__ == "__main__":
    port = free_port()
    sys.exit(run_together([partial(start, Path(sys.argv[1]), rank, port) for rank in (0, 1)]))
