"""The engine fsdp (torch's FSDP2): ranks keep shards of weights, gradients, moments; blocks are whole only to run.

A copy of the model is sharded and trained. The caller's model stays in host memory and gets the whole weights on
`fill`. The optimiser works on the local shards, which are plain tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from ivcore import distributed
from ivcore.train.engine import Engine, Step, blocks, copy_of_rank_0
from ivcore.train.recipe import Recipe


class FullySharded(Engine):
    """`Engine` on sharded weights. Blocks (see `engine.blocks`) are gathered one by one, all other weights together.

    Scalar parameters cannot be sharded: each rank keeps them, and the update averages their gradients. offload:
    "optimizer" and "all" both keep the shards of weights, gradients and moments in host memory.
    """

    def _prepared(self, recipe: Recipe) -> nn.Module:
        distributed.init_process_group(self.device, alone=True)
        self.mesh = init_device_mesh(self.device.type, (distributed.world(),))
        self.offload = recipe.offload != "nothing" and self.device.type != "cpu"
        return copy_of_rank_0(self.model)

    def _begin(self) -> None:
        scalars = {p for p in self.work.parameters() if p.dim() == 0}
        policy = CPUOffloadPolicy() if self.offload else OffloadPolicy()
        how = {"mesh": self.mesh, "offload_policy": policy, "ignored_params": scalars}
        names = {id(p): name for name, p in self.work.named_parameters()}
        for block in blocks(self.work):
            fully_shard(block, **how)
        self.wrapped = fully_shard(Step(self.work), **how)
        cut = dict(self.work.named_parameters())
        self.local: dict[str, Tensor] = {}
        for group in self.optimizer.param_groups:
            of_group = [names[id(p)] for p in group["params"]]
            self.local |= {name: _local(cut[name].detach()) for name in of_group}
            group["params"] = [self.local[name] for name in of_group]
        self.parameters = list(self.local.values())
        self.rest()

    @contextmanager
    def micro_batch(self, last: bool) -> Iterator[None]:
        self.wrapped.set_requires_gradient_sync(last)
        yield

    def step(self, lr: float) -> Tensor:
        for name, p in self._named():
            self.local[name].grad = None if p.grad is None else _local(p.grad)
            if p.grad is not None and not isinstance(p, DTensor):
                self.local[name].grad = distributed.mean(p.grad)
        return super().step(lr)

    def _norm(self, gradients: list[Tensor]) -> Tensor:
        """Norm of the whole gradients: each rank adds its shards, and rank 0 the scalars, which all ranks hold."""
        alike = distributed.rank() > 0
        own = [
            g
            for name, g in ((n, x.grad) for n, x in self.local.items())
            if g is not None and not (alike and g.dim() == 0)
        ]
        square = nn.utils.get_total_norm([g for g in own if g.numel()]).to(self.device).square()
        dist.all_reduce(square)
        return square.sqrt()

    def _zero_grad(self) -> None:
        super()._zero_grad()
        self.wrapped.zero_grad(set_to_none=True)

    def fill(self) -> None:
        self.model.to(self.device)
        own = dict(self.model.named_parameters())
        for name, p in self.work.named_parameters():
            own[name].data.copy_(_whole(p.detach()))
        for ours, theirs in zip(self.model.buffers(), self.work.buffers(), strict=True):
            ours.copy_(theirs)

    def rest(self) -> None:
        self.model.to("cpu")

    def _moments(self, p: nn.Parameter) -> dict[str, Tensor]:
        moments = self.optimizer.state.get(self._of(p), {})
        return {name: _whole(_like(p, value)).cpu() for name, value in moments.items() if value is not None}

    def _set_moments(self, p: nn.Parameter, moments: dict[str, Tensor]) -> None:
        if moments:
            local = self._of(p)
            self.optimizer.state[local] = {
                name: _cut_like(p, value).to(local.device, copy=True) for name, value in moments.items()
            }

    def _of(self, p: nn.Parameter) -> Tensor:
        if not hasattr(self, "_local_of"):
            self._local_of = {id(each): self.local[name] for name, each in self._named()}
        return self._local_of[id(p)]


def _local(x: Tensor) -> Tensor:
    return x.to_local() if isinstance(x, DTensor) else x


def _whole(x: Tensor) -> Tensor:
    return x.full_tensor() if isinstance(x, DTensor) else x


def _like(p: nn.Parameter, part: Tensor) -> Tensor:
    """Joins a rank's shard to a DTensor laid out like the parameter; scalars stay as they are."""
    if part.dim() == 0 or not isinstance(p, DTensor):
        return part
    return DTensor.from_local(part, p.device_mesh, p.placements, run_check=False, shape=p.shape, stride=p.stride())


def _cut_like(p: nn.Parameter, whole: Tensor) -> Tensor:
    if whole.dim() == 0 or not isinstance(p, DTensor):
        return whole
    return distribute_tensor(whole.to(p.device_mesh.device_type), p.device_mesh, p.placements).to_local()
