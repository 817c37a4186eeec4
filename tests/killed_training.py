"""A process that trains in a folder, to be killed: `python killed_training.py`, one line `<folder> <checkpoint seconds>` per attempt.

Importing torch takes seconds, so this process imports it once and forks for every attempt. Only a run's first attempt
starts from the seeded weights, a later one must take everything from the folder. Prints the pid of the attempt, then how it ended.
"""

import glob
import os
import random
import sys

import numpy as np
import torch
from torch import nn

from ivcore import torchvision_ops  # noqa: F401  before timm
from ivcore.train import Batches, Recipe, save_weights, train

# isort: split
from timm.utils import ModelEmaV3  # noqa: F401  imported before the forks, like all the rest

STEPS = 300


class Clips:
    def __len__(self):
        return 50

    def item(self, index, epoch):
        return {"x": torch.randn(8) + index * np.random.rand(), "path": f"{index}.mp4"}


def loss(model, batch, generator):
    noise = torch.rand(batch["x"].shape, generator=generator) * random.random()
    value = (model(batch["x"] + noise) - batch["x"]).square().mean()
    return value, {"noise": noise.mean()}


def attempt(folder, seconds):
    torch.manual_seed(os.getpid() if glob.glob(f"{folder}/checkpoints/step-*.json") else 0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.1), nn.GELU(), nn.Linear(64, 8))
    recipe = Recipe(
        batch_size=5,
        lr=1e-2,
        steps=STEPS,
        warmup_steps=20,
        ema_decay=0.9,
        log_every=3,
        checkpoint_seconds=seconds,
    )
    history = train(model, loss, Batches(Clips(), 5, seed=1), recipe, folder)
    save_weights(model, f"{folder}/model.safetensors")
    save_weights(history.ema, f"{folder}/ema.safetensors")


for line in sys.stdin:
    folder, seconds = line.split()
    pid = os.fork()
    if pid == 0:
        sys.stdout = sys.stderr
        attempt(folder, float(seconds))
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
