"""Training settings of a stage: a frozen Recipe of typed and checked numbers."""

import dataclasses
import math
from dataclasses import dataclass

from ivcore.errors import ParameterError
from ivcore.scaling import ENGINES

PRECISIONS = ("fp32", "bf16", "fp16")
OFFLOADS = ("nothing", "optimizer", "all")


def linear_lr(lr: float, batch_size: int, scale: bool = True) -> float:
    """Linear scaling rule of the paper's recipes: `lr` is for 256 clips a step. Repeated samples do not count as clips.

    scale=False returns `lr` unchanged.
    """
    return lr * batch_size / 256 if scale else lr


@dataclass(frozen=True)
class Recipe:
    """Settings of one training run. Give either `steps` or `epochs`; None switches an option off.

    batch_size: clips of one optimiser step over all ranks. micro_batch: clips that a rank processes at once.
    repeats: samples (crops or masks) taken from each decoded clip.
    Errors: ParameterError for a value that is not allowed.
    """

    batch_size: int
    lr: float  # peak, already scaled: see linear_lr
    steps: int | None = None
    epochs: float | None = None
    min_lr: float = 0.0  # where the cosine ends
    warmup_lr: float = 0.0  # where warm-up starts
    warmup_steps: int = 0
    warmup_epochs: float = 0.0  # warm-up in epochs instead
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    layer_decay: float | None = None  # learning rate of a layer as a share of that of the next layer
    lr_shares: tuple[
        tuple[str, float], ...
    ] = ()  # (beginning of a parameter's name, its learning rate as a share of lr); the first match counts
    clip_grad: float | None = None  # largest gradient norm
    optimizer: str = "adamw"  # or "sgd": with Nesterov's momentum of betas[0]
    lr_drops: tuple[float, ...] = ()  # shares of the steps after which lr falls to a tenth, instead of a cosine
    micro_batch: int = 0  # 0: the whole part of a rank
    repeats: int = 1
    precision: str = "fp32"  # or "bf16", "fp16": autocast, weights stay fp32; fp16 scales the loss
    engine: str = "plain"  # see ivcore.train.engine
    engine_config: str = ""  # JSON file whose entries override DeepSpeed's configuration
    offload: str = "nothing"  # or "optimizer", "all": what fsdp and zero keep in host memory
    ema_decay: float | None = None
    compile: bool = False  # torch.compile, block by block
    activation_checkpointing: str = "nothing"  # "nothing" does not change the model; others: encoders.checkpointing
    seed: int = 0
    checkpoint_seconds: float = 600.0
    keep_checkpoints: int = 2
    log_every: int = 10

    def __post_init__(self):
        for ok, field, allowed in self._rules():
            if not ok:
                raise ParameterError(f"{field}={getattr(self, field)!r}: must be {allowed}")
        if self.warmup_steps and self.warmup_epochs:
            raise ParameterError(
                f"warmup_steps={self.warmup_steps} and warmup_epochs={self.warmup_epochs}: give one of them"
            )

    def _rules(self):
        """Yields (True if the rule holds, field, allowed values)."""
        one_of_both = (self.steps is None) != (self.epochs is None)
        yield one_of_both, "steps", "given when epochs is not, and only then"
        yield self.epochs is None or self.epochs > 0, "epochs", "above 0"
        for name in ("steps", "batch_size", "repeats", "keep_checkpoints", "log_every"):
            yield getattr(self, name) is None or getattr(self, name) >= 1, name, "1 or more"
        yield 0 <= self.micro_batch <= self.batch_size, "micro_batch", f"in [0, batch_size={self.batch_size}]"
        yield self.lr > 0, "lr", "above 0"
        for name in ("min_lr", "warmup_lr"):
            yield 0 <= getattr(self, name) <= self.lr, name, f"in [0, lr={self.lr}]"
        for name in ("warmup_steps", "warmup_epochs", "weight_decay", "checkpoint_seconds"):
            yield getattr(self, name) >= 0, name, "0 or more"
        yield all(0 <= b < 1 for b in self.betas) and len(self.betas) == 2, "betas", "two numbers in [0, 1)"
        yield self.layer_decay is None or 0 < self.layer_decay <= 1, "layer_decay", "None (off) or in (0, 1]"
        yield all(share >= 0 for _, share in self.lr_shares), "lr_shares", "shares from 0"
        yield self.clip_grad is None or self.clip_grad > 0, "clip_grad", "None (off) or above 0"
        yield self.ema_decay is None or 0 < self.ema_decay < 1, "ema_decay", "None (off) or in (0, 1)"
        yield self.optimizer in ("adamw", "sgd"), "optimizer", "one of adamw, sgd"
        yield all(0 < share < 1 for share in self.lr_drops), "lr_drops", "shares between 0 and 1"
        for name, choices in (("precision", PRECISIONS), ("engine", ENGINES), ("offload", OFFLOADS)):
            yield getattr(self, name) in choices, name, f"one of {', '.join(choices)}"

    def total_steps(self, steps_per_epoch: int) -> int:
        return self.steps if self.steps is not None else max(1, round(self.epochs * steps_per_epoch))

    def warmup(self, steps_per_epoch: int) -> int:
        """Warm-up steps, at most the length of the run."""
        steps = self.warmup_steps or round(self.warmup_epochs * steps_per_epoch)
        return min(steps, self.total_steps(steps_per_epoch))

    def grad_accum_steps(self, world: int) -> int:
        """Micro-batches per rank and step, the same for batches of another size (images alternating with videos)."""
        return math.ceil(self.batch_size / world / self.micro_batch) if self.micro_batch else 1

    def effective_epochs(self, steps_per_epoch: int) -> float:
        """Epochs as the paper counts them: each of a clip's `repeats` samples counts once (4.2.2)."""
        return self.total_steps(steps_per_epoch) / steps_per_epoch * self.repeats

    def as_dict(self) -> dict:
        return dataclasses.asdict(self)
