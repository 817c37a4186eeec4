"""Engines: where weights and optimiser state are kept, and how a training step uses several processes and devices.

    plain, ddp      a whole model on every rank; on several ranks torch's DistributedDataParallel averages the gradients  (here)
    fsdp            weights, gradients and moments cut over ranks, torch's `fully_shard`                                   (fully_sharded.py)
    zero1 2 3       DeepSpeed's ZeRO: moments cut over ranks, gradients too, weights too                                   (zero.py)

The loop uses only the public members of `Engine`. With every engine the caller's model is a plain one, and a checkpoint
holds whole weights and whole moments by name. A run can therefore continue with any engine on any number of ranks.
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

_FIRST_SCALE, _GROWTH_STEPS = 2.0**16, 2000  # loss scale in fp16, as in torch's GradScaler


class Step(nn.Module):
    """Runs a function of the model as a forward pass, so that an engine that wraps this module sees all of it."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, function: Callable, *arguments):
        return function(self.model, *arguments)


class Engine:
    """The recipe's optimiser with gradient clipping; no update from a non-finite gradient; a whole model on every rank.

    Gradients are averaged over ranks with the last micro-batch of a step. fp16 scales the loss; a step whose scaled
    gradient overflows is skipped and lowers the scale.
    """

    looks_ahead = True  # allows forward passes without a backward pass before the others; accumulated losses need this

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
        self.bad = torch.zeros((), device=self.device)  # 1 after the first non-finite number
        self.losses = torch.zeros((), device=self.device)  # sum over the micro-batches of this step
        self.scale = torch.tensor(_FIRST_SCALE if self.precision == "fp16" else 1.0, device=self.device)
        self.good_steps = torch.zeros((), device=self.device)  # since the scale changed

    def _prepared(self, recipe: Recipe) -> nn.Module:
        """The module to train: here the caller's own. UserError for `offload`, which this engine lacks."""
        if recipe.offload != "nothing":
            raise UserError(
                f"offload={recipe.offload!r}: engine {recipe.engine} keeps all it has; one of fsdp, zero1, zero2, zero3 can"
            )
        return self.model

    def _begin(self) -> None:
        self.wrapped = Step(self.work)
        if distributed.world() > 1:
            # Weights that no rank uses in a step get no gradient, as with one process. Buffers follow rank 0, so that
            # all ranks evaluate the same model.
            self.wrapped = DistributedDataParallel(self.wrapped, find_unused_parameters=True)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def asynchronous(self) -> bool:
        """True if reading a number waits for the device. On a CPU a bad number stops the run at once."""
        return self.device.type != "cpu"

    # ---- one step

    @contextmanager
    def micro_batch(self, last: bool) -> Iterator[None]:
        """Context of the passes of one micro-batch. Only the `last` one of a step averages gradients over ranks."""
        if last or not isinstance(self.wrapped, DistributedDataParallel):
            yield
        else:
            with self.wrapped.no_sync():
                yield

    def run(self, function: Callable, *arguments):
        """function(model, *arguments) in training precision. Parts of the model that the result depends on must be used
        in it."""
        with autocast(self.device, self.precision):
            return self.wrapped(function, *arguments)

    def backward(self, loss: Tensor) -> None:
        self.losses = self.losses + loss.detach()
        (loss * self.scale if self.precision == "fp16" else loss).backward()

    def step(self, lr: float) -> Tensor:
        """One update. Returns the gradient norm before clipping, on the device. If the norm or a loss is not finite,
        this and all later updates leave weights and optimiser state unchanged, so the check need not wait for the
        device."""
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
        """Removes the loss scale from gradients and sets that of the next step. Returns (1 after overflow, norm).

        The norm is 0 after an overflow. With a scale below 1 a non-finite norm is not counted as an overflow and stays
        as it is.
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
        """Copies the current weights into the caller's model, on the device. Every rank must call it."""

    def rest(self) -> None:
        """Says that the caller's model is not used until the next `fill`."""

    def state(self) -> dict:
        """State for a checkpoint besides the weights, whole, on every rank. Every rank must call it."""
        moments = {name: self._moments(p) for name, p in self._named()}
        return {"moments": moments, "scale": self.scale.cpu(), "good_steps": self.good_steps.cpu()}

    def load(self, state: dict) -> None:
        """Loads the state of any engine. The model must hold the weights already."""
        for name, p in self._named():
            if name in state["moments"]:
                self._set_moments(p, state["moments"][name])
        if self.precision == "fp16" and state["scale"] != 1:
            self.scale, self.good_steps = state["scale"].to(self.device), state["good_steps"].to(self.device)

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        """Names and trained parameters, in model order."""
        return [(name, p) for name, p in self.work.named_parameters() if p.requires_grad]

    def _moments(self, p: nn.Parameter) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.optimizer.state.get(p, {}).items() if value is not None}

    def _set_moments(self, p: nn.Parameter, moments: dict[str, Tensor]) -> None:
        if moments:
            self.optimizer.state[p] = {name: value.to(p.device, copy=True) for name, value in moments.items()}


def blocks(model: nn.Module) -> list[nn.Module]:
    """The repeated layers, which are compiled or sharded one by one: modules of a ModuleList that have children and
    parameters, inner ones first. Returns [model] if there are none."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    found = [block for each in reversed(lists) for block in each if any(True for _ in block.children())]
    return [block for block in found if any(True for _ in block.parameters()) and not _runs_in_parts(block)] or [model]


def _runs_in_parts(block: nn.Module) -> bool:
    """True for a list of layers, or a caption decoder's layer: it gets keys and values computed before its forward."""
    return isinstance(block, nn.ModuleList) or any(hasattr(part, "keys_values") for part in block.modules())


def copy_of_rank_0(model: nn.Module) -> nn.Module:
    """A copy of the model with the weights and buffers of rank 0."""
    copied = copy.deepcopy(model)
    for tensor in (*copied.parameters(), *copied.buffers()):
        dist.broadcast(tensor.detach(), 0)
    return copied
