"""What of a training step depends on how many processes and devices share it, and where weights and optimiser lie meanwhile.

    plain, ddp      a whole model on every rank; on several ranks torch's DistributedDataParallel averages the gradients  (here)
    fsdp            weights, gradients and moments cut over ranks, torch's `fully_shard`                                   (fully_sharded.py)
    zero1 2 3       DeepSpeed's ZeRO: moments cut over ranks, gradients too, weights too                                   (zero.py)

The loop asks an engine for nothing but the public members of `Engine`. Whatever the engine, the model that the caller holds is a plain one, and
so is every checkpoint: weights by name, moments by name, both whole. So a run goes on with any engine on any number of ranks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ivcore import distributed
from ivcore.encoders.checkpointing import set_activation_checkpointing
from ivcore.errors import UserError
from ivcore.precision import autocast
from ivcore.train.optim import optimizer_of, set_lr
from ivcore.train.recipe import Recipe

_FIRST_SCALE, _GROWTH_STEPS = 2.0**16, 2000  # of a loss in fp16, as torch's GradScaler has them


class Step(nn.Module):
    """Runs a function of the model inside a forward pass, so that an engine that wraps this has everything the function does in its care."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, function: Callable, *arguments):
        return function(self.model, *arguments)


class Engine:
    """The recipe's optimiser, gradient clipping by norm, updates that a non-finite gradient cannot reach; a whole model on every rank.

    Gradients are averaged over ranks with the last micro-batch of a step. With fp16 the loss is scaled, and a step whose scaled gradient
    overflows is left out and lowers the scale.
    """

    looks_ahead = (
        True  # whether forward passes without a backward pass may come before the others, as accumulated losses want
    )

    def __init__(self, model: nn.Module, recipe: Recipe):
        self.model, self.max_norm, self.precision = model, recipe.clip_grad, recipe.precision
        self.device = next(model.parameters()).device
        self.work = self._prepared(recipe)
        if recipe.activation_checkpointing != "nothing":
            set_activation_checkpointing(self.work, recipe.activation_checkpointing)
        for block in blocks(self.work) if recipe.compile else ():
            block.compile()  # in place: names and state stay those of the plain model
        self.optimizer = optimizer_of(self.work, recipe)
        self._begin()
        self.bad = torch.zeros((), device=self.device)  # 1 from the first number on that is not finite
        self.losses = torch.zeros((), device=self.device)  # sum over the micro-batches of this step
        self.scale = torch.tensor(_FIRST_SCALE if self.precision == "fp16" else 1.0, device=self.device)
        self.good_steps = torch.zeros((), device=self.device)  # since the scale has changed

    def _prepared(self, recipe: Recipe) -> nn.Module:
        """The module that is trained: here the caller's own."""
        if recipe.offload != "nothing":
            raise UserError(
                f"offload={recipe.offload!r}: engine {recipe.engine} keeps all it has; one of fsdp, zero1, zero2, zero3 can"
            )
        return self.model

    def _begin(self) -> None:
        self.wrapped = Step(self.work)
        if distributed.world() > 1:
            # What no rank uses in a step has no gradient, as on one process. Buffers follow rank 0, so that all ranks evaluate one model.
            self.wrapped = DistributedDataParallel(self.wrapped, find_unused_parameters=True)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def asynchronous(self) -> bool:
        """Whether numbers have to be waited for. Those on the CPU are there when asked for: a bad one stops the run at once."""
        return self.device.type != "cpu"

    # ---- one step

    @contextmanager
    def micro_batch(self, last: bool) -> Iterator[None]:
        """Around forward and backward passes of one micro-batch: only the `last` of a step averages gradients over ranks."""
        if last or not isinstance(self.wrapped, DistributedDataParallel):
            yield
        else:
            with self.wrapped.no_sync():
                yield

    def run(self, function: Callable, *arguments):
        """function(model, *arguments) in the precision of training. Each part of the model that the result depends on must take part in it."""
        with autocast(self.device, self.precision):
            return self.wrapped(function, *arguments)

    def backward(self, loss: Tensor) -> None:
        self.losses = self.losses + loss.detach()
        (loss * self.scale if self.precision == "fp16" else loss).backward()

    def step(self, lr: float) -> Tensor:
        """One update. Returns the gradient norm before clipping, on the device; where it or a loss is not finite, this update and
        all later ones leave weights and optimiser state as they are, so that nobody has to wait for the device to find out."""
        gradients = self._gradients()
        norm = self._norm(gradients)
        losses = distributed.mean(self.losses)
        skipped = torch.zeros_like(self.bad)
        if self.precision == "fp16":
            skipped, norm = self._rescaled(norm)
        finite = (norm + losses).isfinite()
        self.bad = torch.where(finite, self.bad, 1.0)
        if self.max_norm is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.max_norm, norm)
        set_lr(self.optimizer, lr)
        self.optimizer.found_inf = torch.maximum(
            self.bad, skipped
        )  # read by the fused kernel, as torch's GradScaler does
        self.optimizer.step()
        self._zero_grad()
        self.losses = torch.zeros_like(self.bad)
        return norm

    def _rescaled(self, norm: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients without the loss's scale: (1 where they overflowed, their norm or else 0); the next step's scale follows from that.

        Where the scale has fallen below one it is not the scale's fault: the norm stays as it is.
        """
        torch._foreach_mul_(self._gradients(), 1 / self.scale)
        skipped = (~norm.isfinite() & (self.scale >= 1)).float()
        norm = torch.where(skipped.bool(), 0.0, norm / self.scale)
        grown = self.good_steps + 1 >= _GROWTH_STEPS
        larger = torch.where(grown, self.scale * 2, self.scale)
        self.good_steps = torch.where(grown | skipped.bool(), 0.0, self.good_steps + 1)
        self.scale = torch.where(skipped.bool(), self.scale / 2, larger)
        return skipped, norm

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters if p.grad is not None]

    def _norm(self, gradients: list[Tensor]) -> Tensor:
        return nn.utils.get_total_norm(gradients)

    def _zero_grad(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    # ---- weights and state, whole and by name

    def fill(self) -> None:
        """Give the caller's model the weights that training has come to, on the device. Every rank calls it."""

    def rest(self) -> None:
        """The caller's model is not looked at until the next `fill`."""

    def state(self) -> dict:
        """Everything a checkpoint needs beside the weights, whole, on every rank. Every rank calls it."""
        moments = {name: self._moments(p) for name, p in self._named()}
        return {"moments": moments, "scale": self.scale.cpu(), "good_steps": self.good_steps.cpu()}

    def load(self, state: dict) -> None:
        """Take over the state of any engine; the model has the weights already."""
        for name, p in self._named():
            if name in state["moments"]:
                self._set_moments(p, state["moments"][name])
        if self.precision == "fp16" and state["scale"] != 1:
            self.scale, self.good_steps = state["scale"].to(self.device), state["good_steps"].to(self.device)

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        """What is trained, in the order of the model."""
        return [(name, p) for name, p in self.work.named_parameters() if p.requires_grad]

    def _moments(self, p: nn.Parameter) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.optimizer.state.get(p, {}).items() if value is not None}

    def _set_moments(self, p: nn.Parameter, moments: dict[str, Tensor]) -> None:
        if moments:
            self.optimizer.state[p] = {name: value.to(p.device, copy=True) for name, value in moments.items()}


def blocks(model: nn.Module) -> list[nn.Module]:
    """The layers that repeat, which are compiled and cut over ranks one by one: what lies in a ModuleList and has parts of its own, inner ones
    first; the model itself where there is none."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    found = [block for each in reversed(lists) for block in each if any(True for _ in block.children())]
    return [block for block in found if any(True for _ in block.parameters()) and not _runs_in_parts(block)] or [model]


def _runs_in_parts(block: nn.Module) -> bool:
    """A list of layers, or a caption decoder's layer: its attention takes keys and values that were computed before its forward pass."""
    return isinstance(block, nn.ModuleList) or any(hasattr(part, "keys_values") for part in block.modules())


def copy_of_rank_0(model: nn.Module) -> nn.Module:
    """A copy with the weights and buffers that the model has on rank 0."""
    copied = copy.deepcopy(model)
    for tensor in (*copied.parameters(), *copied.buffers()):
        dist.broadcast(tensor.detach(), 0)
    return copied
