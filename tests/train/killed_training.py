"""A process that trains in a folder, to be killed: `python killed_training.py`, one line `<folder> <checkpoint seconds>` per attempt.

Importing torch takes seconds, so this process imports it once and forks for every attempt. Only a run's first attempt
starts from the seeded weights, a later one must take everything from the folder. Prints the pid of the attempt, then how it ended.
"""

import glob
import os
import random
import sys
import time
import traceback

import numpy as np
import torch
from torch import nn

from ivcore.train import Batches, Recipe, save_weights, train

STEPS = 250


class Clips:
    def __len__(self):
        return 50

    def item(self, index, epoch):
        return {"x": torch.randn(8) + index * np.random.rand(), "path": f"{index}.mp4"}


def loss(model, batch, generator):
    time.sleep(0.005)  # so that no machine is fast enough to finish before the tenth kill
    noise = torch.rand(batch["x"].shape, generator=generator) * random.random()
    value = (model(batch["x"] + noise) - batch["x"]).square().mean()
    return value, {"noise": noise.mean()}


def attempt(folder, seconds):
    torch.manual_seed(os.getpid() if glob.glob(f"{folder}/checkpoints/step-*.json") else 0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.1), nn.GELU(), nn.Linear(64, 8))
    recipe = Recipe(batch_size=5, lr=1e-2, steps=STEPS, warmup_steps=20, log_every=7, checkpoint_seconds=seconds)
    train(model, loss, Batches(Clips(), 5, seed=1), recipe, folder)
    save_weights(model, f"{folder}/model.safetensors")


for line in sys.stdin:
    folder, seconds = line.split()
    pid = os.fork()
    if pid == 0:
        sys.stdout = sys.stderr
        try:
            attempt(folder, float(seconds))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
