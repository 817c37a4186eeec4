"""The engines zero1, zero2 and zero3: DeepSpeed's ZeRO (arXiv 1910.02054), which the paper trains with (3.2).

A copy of the model is trained; the caller's model stays in host memory. bf16 and fp16 are DeepSpeed's: the copy is in
half precision, and the optimiser keeps float32 weights. Unused weights get zero gradients here, so weight decay and
momentum change them.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore import distributed
from ivcore.errors import UserError
from ivcore.train.engine import Engine, Step, copy_of_rank_0
from ivcore.train.optim import set_lr
from ivcore.train.recipe import Recipe

_COUNT = "step"  # the only entry of torch's optimiser state that has not the shape of the weight
_BUCKET = 500_000_000  # most gradients in one message: DeepSpeed's default


class Zero(Engine):
    """`Engine` on DeepSpeed. offload="optimizer" keeps moments in host memory; "all" (zero3 only) weights too."""

    asynchronous = False  # a step waits for its loss and gradient norm, so a bad one is seen before the next step

    def _prepared(self, recipe: Recipe) -> nn.Module:
        distributed.init_process_group(self.device, alone=True)
        self.deepspeed, self.recipe = _deepspeed(self.device, recipe.engine), recipe
        if recipe.offload == "all" and recipe.engine != "zero3":
            raise UserError(
                f"offload='all': engine {recipe.engine} keeps all weights on the device; optimizer is what it can offload, zero3 all"
            )
        if recipe.precision == "fp16" and self.device.type == "cpu":
            raise UserError(
                f"precision='fp16': engine {recipe.engine} has none on a CPU; bf16 is what it can, plain and fsdp can fp16"
            )
        if recipe.compile and recipe.engine == "zero3":
            raise UserError(
                "compile=True: engine zero3 gathers weights while a block runs, which torch.compile cannot follow; zero2 and fsdp can be compiled"
            )
        self.looks_ahead = recipe.engine != "zero3"  # zero3 needs every pass to take the same path
        return copy_of_rank_0(self.model)

    def _begin(self) -> None:
        self.spared = [name for name, p in self.work.named_parameters() if not p.requires_grad]
        self.optimizer.param_groups[:] = [group for group in self.optimizer.param_groups if group["params"]]
        with _no_broadcast(self.deepspeed):
            self.wrapped, *_ = self.deepspeed.initialize(
                model=Step(self.work),
                optimizer=self.optimizer,
                config=config_of(self.recipe, sum(p.numel() for p in self.work.parameters())),
                dist_init_required=False,
            )
        if self.precision != "fp32":
            self._set_weights()
        self.rest()

    @contextmanager
    def micro_batch(self, last: bool) -> Iterator[None]:
        self.wrapped.set_gradient_accumulation_boundary(last)
        yield

    def backward(self, loss: Tensor) -> None:
        self.losses = self.losses + loss.detach()
        self.wrapped.backward(loss, scale_wrt_gas=False)

    def step(self, lr: float) -> Tensor:
        losses = distributed.mean(self.losses)
        set_lr(self.wrapped.optimizer, lr)
        if losses.isfinite():
            self._take_over()
            self.wrapped.step()
            norm = torch.as_tensor(self.wrapped.get_global_grad_norm(), dtype=torch.float32, device=self.device)
            if self.precision == "fp16" and self.wrapped.optimizer.overflow and self.wrapped.optimizer.cur_scale >= 1:
                norm = torch.zeros_like(norm)  # an overflow: DeepSpeed has skipped the step and lowered the scale
        else:
            norm = losses.float()
        self.losses = torch.zeros_like(self.losses)
        return norm

    def fill(self) -> None:
        self.model.to(self.device)
        own = dict(self.model.named_parameters())
        for name, p in self._named():
            own[name].data.copy_(self.deepspeed.utils.safe_get_full_fp32_param(p).view_as(own[name]))
        for ours, theirs in zip(self.model.buffers(), self.work.buffers(), strict=True):
            ours.copy_(theirs)

    def rest(self) -> None:
        self.model.to("cpu")

    def state(self) -> dict:
        self._link()
        optimizer = self.wrapped.optimizer
        scale = torch.tensor(float(getattr(optimizer, "cur_scale", 1.0)))
        return super().state() | {"scale": scale, "good_steps": torch.zeros(())}

    def load(self, state: dict) -> None:
        self._make_moments(state["moments"])
        for name, p in self._named():
            for key, value in state["moments"].get(name, {}).items():
                if key != _COUNT:
                    self._set(p, value, key)

    def _moments(self, p: nn.Parameter) -> dict[str, Tensor]:
        kept = self._kept()
        if not kept:
            return {}
        steps = {
            name: value.clone().cpu() for name, value in kept[0].items() if torch.is_tensor(value) and value.dim() == 0
        }
        whole = (name for name, value in kept[0].items() if torch.is_tensor(value) and value.dim())
        get = self.deepspeed.utils.safe_get_full_optimizer_state
        return {name: get(p, name).view(_shape(p)).cpu().clone() for name in whole} | steps

    def _kept(self) -> list[dict]:
        """States of the optimiser's flat parts."""
        return [state for state in self.wrapped.optimizer.optimizer.state.values() if state]

    def _make_moments(self, moments: dict[str, dict[str, Tensor]]) -> None:
        """Allocates moments of the flat parts, as the first step would, with the step count of the checkpoint."""
        found = next((each for each in moments.values() if each), {})
        optimizer = self.wrapped.optimizer
        inner = optimizer.optimizer
        of_groups = [flat for group in inner.param_groups for flat in group["params"]]
        for flat in getattr(optimizer, "fp32_partitioned_groups_flat", of_groups):  # zero3 keeps its own list
            inner.state[flat] = {
                name: value.to(flat.device, copy=True) if name == _COUNT else torch.zeros_like(flat)
                for name, value in found.items()
            }
        self._link()

    def _link(self) -> None:
        """Makes DeepSpeed find the moments of all groups. By itself it looks once, after the first group's step."""
        optimizer = self.wrapped.optimizer
        if hasattr(optimizer, "_hp_optimizer_states_linked"):  # zero1, zero2
            optimizer._hp_optimizer_states_linked = False
            optimizer._lazy_init_hp_params_optimizer_state()

    def _take_over(self) -> None:
        """Passes scalars that the loss changed in place (a clamped temperature) to DeepSpeed, which has a copy."""
        for _, p in self._named():
            if _shape(p) == () and p.numel():
                kept = self.deepspeed.utils.safe_get_full_fp32_param(p).view(())
                if kept.to(p.dtype) != p.detach():
                    self._set(p, p.detach())

    def _set(self, p: nn.Parameter, value: Tensor, moment: str | None = None) -> None:
        """Sets a float32 weight or a moment on all ranks. zero3's parts are padded to a multiple of the ranks."""
        value, tools = value.to(self.device, torch.float32), self.deepspeed.utils
        if hasattr(p, "ds_tensor"):
            part = p.ds_tensor.numel()
            value = F.pad(value.flatten(), (0, part * distributed.world() - value.numel()))
            own = value[part * distributed.rank() : part * (distributed.rank() + 1)]
            tools.safe_set_local_optimizer_state(p, own, moment) if moment else tools.safe_set_local_fp32_param(p, own)
        else:
            own = value
            tools.safe_set_full_optimizer_state(p, own, moment) if moment else tools.safe_set_full_fp32_param(p, own)

    def _set_weights(self) -> None:
        """Sets the optimiser's float32 weights from the caller's model; DeepSpeed used the half-precision copy."""
        own = dict(self.model.named_parameters())
        for name, p in self._named():
            self._set(p, own[name].detach())


def config_of(recipe: Recipe, parameters: int = _BUCKET) -> dict:
    """DeepSpeed's configuration from the recipe; buckets are at most as large as the model's `parameters`. Entries of
    the JSON file recipe.engine_config override it.

    Errors: UserError if the file holds no JSON object.
    """
    stage = int(recipe.engine.removeprefix("zero"))
    bucket = min(_BUCKET, parameters)  # the buffer is allocated at the start, 2 GB with DeepSpeed's default
    zero: dict = {"stage": stage, "overlap_comm": False, "reduce_bucket_size": bucket}
    if recipe.offload != "nothing":
        zero["offload_optimizer"] = {"device": "cpu"}
    if recipe.offload == "all":
        zero["offload_param"] = {"device": "cpu"}
    config = {
        "train_micro_batch_size_per_gpu": -(-recipe.batch_size // distributed.world()),
        "gradient_accumulation_steps": 1,  # the loop marks the last micro-batch of a step
        "gradient_clipping": recipe.clip_grad or 0.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,  # torch's optimiser, as in every engine
        "zero_force_ds_cpu_optimizer": False,  # otherwise DeepSpeed compiles one
        "steps_per_print": 2**62,
    }
    if recipe.precision == "bf16":
        config["bf16"] = {"enabled": True, "check_grad_overflow": True}
    if recipe.precision == "fp16":
        config["fp16"] = {"enabled": True, "loss_scale": 0, "initial_scale_power": 16, "hysteresis": 1}
    return _over(config, _read(recipe.engine_config)) if recipe.engine_config else config


def _read(place: str) -> dict:
    try:
        found = json.loads(Path(place).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"engine_config={place!r}: must be a JSON file with DeepSpeed's entries: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"engine_config={place!r}: must hold one JSON object, not {type(found).__name__}")
    return found


def _over(below: dict, above: dict) -> dict:
    """Joins two nested dictionaries; entries of `above` win."""
    joined = {
        k: _over(below[k], v) if isinstance(v, dict) and isinstance(below.get(k), dict) else v for k, v in above.items()
    }
    return below | joined


def _shape(p: nn.Parameter) -> torch.Size:
    return getattr(p, "ds_shape", p.shape)


@contextmanager
def _no_broadcast(deepspeed) -> Iterator[None]:
    """Turns off DeepSpeed's broadcasts, which fail on scalar parameters; the copy has rank 0's weights already."""

    def cut(self, param):
        self._convert_to_deepspeed_param(param)
        param.partition()

    whole, by_parameter = deepspeed.DeepSpeedEngine, deepspeed.zero.Init
    with mock.patch.object(whole, "_broadcast_model"), mock.patch.object(by_parameter, "_zero_init_param", cut):
        yield


def _deepspeed(device: torch.device, engine: str):
    """Imports DeepSpeed without its log lines and compiled operators. UserError if it is not installed."""
    if device.type == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    # A single process is a group of one; without these, DeepSpeed would ask MPI.
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    for name, value in alone.items():
        os.environ.setdefault(name, value)
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    try:
        import deepspeed
    except ImportError as error:
        raise UserError(f"engine={engine!r}: needs DeepSpeed: pip install 'ivcore[deepspeed]' ({error})") from error
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    # DeepSpeed uses names of collectives that torch 2.13 deprecates.
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed.c10d_logger")
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("gloo" if device.type == "cpu" else "nccl", auto_mpi_discovery=False, verbose=False)
    return deepspeed
