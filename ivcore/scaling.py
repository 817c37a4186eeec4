"""Estimates memory, time and communication of a training step on N devices. Arithmetic on counts; nothing is run.

    step = costs.training_step(build, run, precision="bf16")
    estimate(step, CARDS["a100-80"], gpus=64, engine="zero1", batch=384, micro_batch=6)

Counted (`costs.training_step`): weights, trained weights, operations and stored activations, per clip and per step.
Assumed, because it depends on the machine: the share of a card's peak that a step reaches (`MFU`), the share of a
link's rate (`LINK_SHARE`), how much communication overlaps with the backward pass (`HIDDEN`), memory of a process
besides tensors (`RESERVED`). docs/scale.md compares these with measurements and with the paper's numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ivcore.errors import ParameterError

ENGINES = ("plain", "ddp", "fsdp", "zero1", "zero2", "zero3")
MFU = 0.4  # share of a card's peak that the matrix products of a step reach
LINK_SHARE = 0.8  # share of a link's rate that large messages reach
HIDDEN = 2 / 3  # share of a step's computing that communication can overlap with: the backward pass
RESERVED = 1.5 * 2**30  # bytes of a process besides its tensors: context, libraries, workspace
SLACK = 1.05  # factor for short-lived tensors: the allocator cannot reuse all of their memory
GIB = 2**30


@dataclass(frozen=True)
class StepCosts:
    """Counted costs of one training step: parameters, operations, bytes. A clip is one sample of a batch."""

    parameters: int
    trained: int
    largest_block: int  # parameters of the largest repeated block: what a sharding engine gathers at once
    operations: int  # forward and backward pass of one clip; a multiply-add is two
    clip_bytes: int  # stored for the backward pass of one clip
    step_bytes: int  # stored once a step, such as weights in half precision


@dataclass(frozen=True)
class Accelerator:
    """Vendor data of an accelerator. Rates are for one direction."""

    memory: float  # GiB
    # by precision; fp32 without TF32, which only half-precision training uses (ivcore.precision)
    tflops: dict[str, float]
    link: float  # GB/s between the cards of a machine
    network: float  # GB/s per card between machines
    a_machine: int = 8  # cards in a machine


CARDS = {
    "v100-32": Accelerator(32, {"fp32": 15.7, "fp16": 125}, 150, 3.1),
    "a100-40": Accelerator(40, {"fp32": 19.5, "fp16": 312, "bf16": 312}, 300, 25),
    "a100-80": Accelerator(80, {"fp32": 19.5, "fp16": 312, "bf16": 312}, 300, 25),
    "h100": Accelerator(80, {"fp32": 67, "fp16": 989, "bf16": 989}, 450, 50),
    "h200": Accelerator(141, {"fp32": 67, "fp16": 989, "bf16": 989}, 450, 50),
    "l4": Accelerator(24, {"fp32": 30, "fp16": 121, "bf16": 121}, 25, 3.1),
    "rtx4090": Accelerator(24, {"fp32": 83, "fp16": 165, "bf16": 165}, 25, 1.2),
}


@dataclass(frozen=True)
class Estimate:
    """Costs of a step on one device in bytes and seconds; `clips`: samples per second of all devices."""

    engine: str
    gpus: int
    micro_batch: int
    weights: float
    gradients: float
    moments: float
    activations: float
    gathered: float  # weights that a sharding engine gathers for one block
    computing: float
    waiting: float  # communication that does not overlap with computing
    clips: float

    @property
    def memory(self) -> float:
        return self.weights + self.gradients + self.moments + SLACK * (self.activations + self.gathered) + RESERVED

    @property
    def seconds(self) -> float:
        return self.computing + self.waiting

    def fits(self, card: Accelerator) -> bool:
        return self.memory <= card.memory * GIB


def estimate(step: StepCosts, card: Accelerator, *, gpus: int, engine: str, batch: int, micro_batch: int = 0, precision: str = "bf16",
             offload: bool = False, mfu: float = MFU, again: float = 0.0) -> Estimate:  # fmt: skip
    """Costs of a step of `batch` samples on `gpus` devices. micro_batch: samples per device at once, 0 for its whole
    part. offload: moments and master weights are in host memory. again: extra operations, as a share, if a part is cut
    into micro-batches. Engine "plain" on several devices means "ddp", as in training.

    Errors: ParameterError for an unknown engine, a precision that the card lacks, or an impossible number.
    """
    _require(step, card, gpus, engine, batch, micro_batch, precision)
    part = math.ceil(batch / gpus)
    micro_batch = min(micro_batch or part, part)
    pieces = math.ceil(part / micro_batch)
    weights, gradients, moments, gathered = _held(step, engine, gpus, precision)
    operations = step.operations * part * (1 + again * (pieces > 1))
    computing = operations / (card.tflops[precision] * 1e12 * mfu)
    rate = (card.link if gpus <= card.a_machine else card.network) * 1e9 * LINK_SHARE
    sending = _sent(step, engine, gpus, precision, pieces) / rate
    return Estimate(
        engine, gpus, micro_batch, weights, gradients, 0.0 if offload else moments,
        step.step_bytes + micro_batch * step.clip_bytes, gathered, computing, max(0.0, sending - HIDDEN * computing),
        batch / (computing + max(0.0, sending - HIDDEN * computing)),
    )  # fmt: skip


def largest_micro_batch(step: StepCosts, card: Accelerator, **how) -> int:
    """Largest micro-batch that fits, among even cuts of a device's part; 0 if one sample does not fit."""
    part = math.ceil(how["batch"] / how["gpus"])
    sizes = (math.ceil(part / pieces) for pieces in range(1, part + 1))
    return next((size for size in sizes if estimate(step, card, **how | {"micro_batch": size}).fits(card)), 0)


def _held(step: StepCosts, engine: str, gpus: int, precision: str) -> tuple[float, float, float, float]:
    """Bytes on each device: weights, gradients, moments (with master weights), gathered blocks."""
    frozen = step.parameters - step.trained
    half = 2 if precision != "fp32" else 4
    if engine in ("plain", "ddp"):
        return 4 * step.parameters, 4 * step.trained, 8 * step.trained, 0.0
    if engine == "fsdp":
        whole = (4 * step.parameters / gpus, 4 * step.trained / gpus, 8 * step.trained / gpus)
        return *whole, 2 * half * step.largest_block
    share = {"zero1": (1, 1), "zero2": (1, gpus), "zero3": (gpus, gpus)}[engine]  # parts of weights and gradients
    gathered = 2 * half * step.largest_block if engine == "zero3" else 0.0
    weights = half * (step.trained + frozen) / share[0]
    return weights, half * step.trained / share[1], 12 * step.trained / gpus, gathered


def _sent(step: StepCosts, engine: str, gpus: int, precision: str, pieces: int) -> float:
    """Bytes that each device sends in a step. A ring sends (N - 1) / N of the data, twice for an all-reduce."""
    half = 2 if precision != "fp32" else 4
    ring = (gpus - 1) / gpus
    if engine in ("plain", "ddp"):
        return 2 * ring * 4 * step.trained
    if engine in ("zero1", "zero2"):
        reduced = pieces if engine == "zero2" else 1
        return ring * half * step.trained * (reduced + 1)
    return ring * half * (2 * step.parameters * pieces + step.trained * pieces)


def _require(step, card, gpus, engine, batch, micro_batch, precision) -> None:
    if engine not in ENGINES:
        raise ParameterError(f"engine = {engine}: must be one of {', '.join(ENGINES)}")
    if precision not in card.tflops:
        raise ParameterError(f"precision = {precision}: the card has {', '.join(card.tflops)}")
    for name, value in (("gpus", gpus), ("batch_size", batch)):
        if value < 1:
            raise ParameterError(f"{name} = {value}: must be 1 or more")
    if gpus > batch:
        raise ParameterError(f"gpus = {gpus}: more than batch_size = {batch} samples; some would have none")
