"""Finds how many epochs of fine-tuning fit into a time, by timing a step of each encoder on this machine.

Four trainings share the time (see `ivcore.run.finetune`): the masked encoder, the same from scratch, the multimodal
encoder, and the coordinated model. The plan of the fine-tuning stores the result, and it is not measured again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn

from ivcore.heads.classifier import classifier
from ivcore.precision import autocast
from ivcore.run.environment import pick_device

BATCH = 16
SEEN = 12_000  # clips shown in all: a small set gets as many epochs as this takes
FEWEST, MOST = 4, 200  # epochs
_START = 10.0  # seconds of a run before its first step and after its last
_OVERHEAD = 1.2  # factor on a step's time, for frames, crops and the optimiser
_JOINED = 0.8  # time of a coordinated step as a share of both encoders' steps: their first layers are computed once
_LONGEST = 3.0  # seconds after which timing is not repeated
_TESTED = 3  # views of a validation or test video once training has ended: test_clips and val_clips of the presets
_VIEWS = 8  # most stored views of a training clip for the coordinated model


@dataclass(frozen=True)
class Cost:
    """Seconds per clip of a training step, and of a forward pass alone."""

    step: float
    forward: float


@dataclass(frozen=True)
class Lengths:
    """Epochs of each encoder and of the coordinated model, its cached views, and estimated seconds (0: not timed)."""

    epochs: float
    joint_epochs: float
    cached_views: int
    seconds: float = 0.0


def cost(pretrained: nn.Module, frames: int, image: int, precision: str = "fp32") -> Cost:
    """Times the encoder in `pretrained` with a head on clips of this size: the best of up to three steps."""
    device = pick_device()
    model = classifier(pretrained, 10, frames=frames, image=image).to(device).train()
    clips = model.prepare(torch.zeros(BATCH, frames, image, image, 3, dtype=torch.uint8, device=device))

    def scores():
        with autocast(clips.device, precision):
            return model(clips)

    def step():
        scores().float().logsumexp(-1).sum().backward()

    def forward():
        with torch.no_grad():
            scores()

    return Cost(_best(step, device) * _OVERHEAD / BATCH, _best(forward, device) * _OVERHEAD / BATCH)


def precisions() -> tuple[str, ...]:
    """Precisions worth timing. On a processor without wide instructions bf16 is many times slower than fp32."""
    narrow = pick_device() == "cpu" and torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "NO AVX", "AVX2")
    return ("fp32",) if narrow else ("fp32", "bf16")


def _best(act, device: str) -> float:
    seconds = []
    while len(seconds) < 3 and sum(seconds) < _LONGEST:
        began = time.monotonic()
        act()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append(time.monotonic() - began)
    return min(seconds)


def most_epochs(train: int) -> int:
    """Most epochs for a set of `train` clips if time does not matter; small sets get more."""
    return max(FEWEST, min(MOST, SEEN // max(train, 1)), min(20, MOST))


def lengths(epochs: float) -> Lengths:
    """Lengths of all trainings if the encoders get `epochs`."""
    joint = max(1.0, min(epochs, max(4.0, float(round(epochs / 2)))))
    return Lengths(epochs, joint, max(1, min(_VIEWS, round(joint))))


def seconds(each: Lengths, masked: Cost, multimodal: Cost, train: int, held_out: int, reading: float = 0.0, in_memory: bool = True) -> float:  # fmt: skip
    """Estimated seconds of all four trainings, with `train` training clips and `held_out` validation and test clips.

    reading: seconds to read all videos once. in_memory: training videos are decoded twice only, at the sizes of crops
    and whole clips.
    """
    both_steps, both_forwards = masked.step + multimodal.step, masked.forward + multimodal.forward
    alone = (2 * masked.step + multimodal.step) * train + (2 * masked.forward + multimodal.forward) * held_out / 2
    joint = _JOINED * (both_steps * train + both_forwards * held_out / 2)
    cached = each.cached_views * train + held_out / 2
    # Views of all videos for neighbours and linear probe; of held-out ones for each encoder, and twice for both together.
    measured = _TESTED * (train + 4 * held_out)
    passes = 2 if in_memory else 3 * each.epochs + each.cached_views + 6
    computing = each.epochs * alone + each.joint_epochs * joint + (cached + measured) * both_forwards
    computing += _TESTED * held_out * masked.forward  # from scratch
    return 4 * _START + computing + passes * reading


def fitting(minutes: float, masked: Cost, multimodal: Cost, train: int, held_out: int, *reading) -> Lengths:
    """The largest Lengths whose trainings fit into `minutes`; FEWEST epochs if none fit. reading: as in `seconds`."""
    for epochs in range(most_epochs(train), FEWEST - 1, -1):
        each = lengths(float(epochs))
        needed = seconds(each, masked, multimodal, train, held_out, *reading)
        if needed <= 60 * minutes:
            break
    return Lengths(each.epochs, each.joint_epochs, each.cached_views, round(needed, 1))
