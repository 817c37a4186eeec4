"""What a training step needs of each of N devices: memory, time, messages, clips. Arithmetic on counts; nothing is run.

    step = costs.training_step(build, run, precision="bf16")
    estimate(step, CARDS["a100-80"], gpus=64, engine="zero1", batch=384, micro_batch=6)

What is counted (see `costs.training_step`): weights, trained weights, operations and what the backward pass keeps, for one clip and for each step.
What is assumed, since it depends on the machine: the share of a card's peak that a step reaches (`Card.mfu`), what links carry (`LINK_SHARE`), how
much of the messages runs beside the backward pass (`HIDDEN`), what a process holds beside tensors (`RESERVED`). docs/scale.md has them beside
what was measured and beside the paper's own numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ivcore.errors import ParameterError

ENGINES = ("plain", "ddp", "fsdp", "zero1", "zero2", "zero3")
MFU = 0.4  # share of the peak of a card that matrix products of a step reach
LINK_SHARE = 0.8  # share of a link's rate that large messages reach
HIDDEN = 2 / 3  # of a step's computing, the backward pass, that messages can run beside
RESERVED = 1.5 * 2**30  # bytes of a process beside its tensors: context, libraries, workspace
SLACK = 1.05  # of tensors that come and go: what an allocator cannot use again
GIB = 2**30


@dataclass(frozen=True)
class StepCosts:
    """One training step of a model, counted. Bytes and operations; a clip is one sample of a batch."""

    parameters: int
    trained: int
    largest_block: int  # parameters of the largest repeated block: what a sharding engine gathers at once
    operations: int  # of forward and backward pass, for each clip; a multiply-add is two
    clip_bytes: int  # kept for the backward pass, for each clip
    step_bytes: int  # kept once a step, such as weights in half precision


@dataclass(frozen=True)
class Card:
    """An accelerator as its vendor describes it. Rates are of one direction."""

    memory: float  # GiB
    # by precision; fp32 without TF32, which training in half precision alone takes, see ivcore.precision
    tflops: dict[str, float]
    link: float  # GB/s between the cards of a machine
    network: float  # GB/s a card between machines
    a_machine: int = 8  # cards


CARDS = {
    "v100-32": Card(32, {"fp32": 15.7, "fp16": 125}, 150, 3.1),
    "a100-40": Card(40, {"fp32": 19.5, "fp16": 312, "bf16": 312}, 300, 25),
    "a100-80": Card(80, {"fp32": 19.5, "fp16": 312, "bf16": 312}, 300, 25),
    "h100": Card(80, {"fp32": 67, "fp16": 989, "bf16": 989}, 450, 50),
    "h200": Card(141, {"fp32": 67, "fp16": 989, "bf16": 989}, 450, 50),
    "l4": Card(24, {"fp32": 30, "fp16": 121, "bf16": 121}, 25, 3.1),
    "rtx4090": Card(24, {"fp32": 83, "fp16": 165, "bf16": 165}, 25, 1.2),
}


@dataclass(frozen=True)
class Estimate:
    """Of one device, bytes and seconds; `clips` are samples of all devices a second."""

    engine: str
    gpus: int
    micro_batch: int
    weights: float
    gradients: float
    moments: float
    activations: float
    gathered: float  # weights of a block that an engine has sharded and needs whole
    computing: float
    waiting: float  # for messages that nothing hides
    clips: float

    @property
    def memory(self) -> float:
        return self.weights + self.gradients + self.moments + SLACK * (self.activations + self.gathered) + RESERVED

    @property
    def seconds(self) -> float:
        return self.computing + self.waiting

    def fits(self, card: Card) -> bool:
        return self.memory <= card.memory * GIB


def estimate(step: StepCosts, card: Card, *, gpus: int, engine: str, batch: int, micro_batch: int = 0, precision: str = "bf16",
             offload: bool = False, mfu: float = MFU, again: float = 0.0) -> Estimate:  # fmt: skip
    """A step of `batch` samples on all `gpus`. micro_batch: samples of a device at once, 0 for its whole part. offload: moments and master
    weights lie in the host's memory. plain on several is ddp, as in training. again: operations that a part in pieces needs more, as a share.

    Errors: ParameterError for an engine, a precision or a number that cannot be.
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


def largest_micro_batch(step: StepCosts, card: Card, **how) -> int:
    """The most samples of a device at once that fit, of those that divide its part; 0 where not even one does."""
    part = math.ceil(how["batch"] / how["gpus"])
    sizes = (math.ceil(part / pieces) for pieces in range(1, part + 1))
    return next((size for size in sizes if estimate(step, card, **how | {"micro_batch": size}).fits(card)), 0)


def _held(step: StepCosts, engine: str, gpus: int, precision: str) -> tuple[float, float, float, float]:
    """Bytes of weights, gradients, moments (with master weights) and gathered blocks on each device."""
    frozen = step.parameters - step.trained
    half = 2 if precision != "fp32" else 4
    if engine in ("plain", "ddp"):
        return 4 * step.parameters, 4 * step.trained, 8 * step.trained, 0.0
    if engine == "fsdp":
        whole = (4 * step.parameters / gpus, 4 * step.trained / gpus, 8 * step.trained / gpus)
        return *whole, 2 * half * step.largest_block
    share = {"zero1": (1, 1), "zero2": (1, gpus), "zero3": (gpus, gpus)}[engine]  # of weights, of gradients
    gathered = 2 * half * step.largest_block if engine == "zero3" else 0.0
    weights = half * (step.trained + frozen) / share[0]
    return weights, half * step.trained / share[1], 12 * step.trained / gpus, gathered


def _sent(step: StepCosts, engine: str, gpus: int, precision: str, pieces: int) -> float:
    """Bytes that each device sends in a step; rings send (N - 1) / N of what they join, twice where all get the sum."""
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
