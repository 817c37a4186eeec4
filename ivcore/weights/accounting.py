"""Every tensor of a checkpoint is loaded, ignored for a stated reason, or an error that names it."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from ivcore.errors import UserError

State = dict[str, Tensor]


class WeightsError(UserError):
    """A checkpoint that is not one of the published layouts, or not a whole one."""


def listed(keys, most: int = 6) -> str:
    """Keys in one phrase: the first few, then how many more."""
    keys = list(keys)
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more


def assemble(module: nn.Module, state: State, what: str, dtype: torch.dtype | None = torch.float32) -> nn.Module:
    """Put `state`, already under the module's names, into a module built on the meta device; eval mode.

    Raises WeightsError naming the keys that are missing, left over or of the wrong shape.
    """
    expected = module.state_dict()
    wrong = _differences(expected, state)
    if wrong:
        raise WeightsError(f"{what}: {'; '.join(wrong)}")
    module.load_state_dict({key: _own(value, dtype) for key, value in state.items()}, assign=True)
    return module.eval()


def _differences(expected: State, state: State) -> list[str]:
    missing = [key for key in expected if key not in state]
    extra = [key for key in state if key not in expected]
    shapes = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    differences = (("missing", missing), ("not expected", extra), ("wrong shape", shapes))
    return [f"{name}: {listed(keys)}" for name, keys in differences if keys]


def require_numbers(state: State, what: str) -> None:
    """WeightsError naming the first tensor that holds anything but finite real numbers. Masks may hold infinity; tensors on the meta device,
    shapes alone, pass."""
    for key, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            kind = "complex" if value.is_complex() else "quantized" if value.is_quantized else "sparse"
            raise WeightsError(f"{what}: {key} is {kind}, must hold real numbers")
        if value.is_meta or not value.is_floating_point() or not value.numel() or key.endswith("mask"):
            continue
        value = value.float() if value.itemsize == 1 else value
        least, greatest = value.aminmax()  # NaN where any number is; sixty times as fast as isfinite()
        if not (least.isfinite() and greatest.isfinite()):
            held = "NaN" if least.isnan() else "infinity"
            raise WeightsError(
                f"{what}: {key} holds {held}: the training that saved it had diverged, or the file is damaged"
            )


def _own(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A copy: the caller's tensors stay the caller's. Half precision files become float32 unless asked otherwise."""
    return value.detach().to(dtype if value.is_floating_point() else None, copy=True)


def need(state: State, key: str, what: str, under: str = "", dims: int | None = None) -> Tensor:
    """A tensor whose shape the layout is read from, of `dims` dimensions; `under` is the prefix it has in the file."""
    if key not in state:
        raise WeightsError(f"{what}: missing: {under}{key}")
    value = state[key]
    if not value.numel() or dims not in (None, value.dim()):
        raise WeightsError(f"{what}: wrong shape: {under}{key} is {tuple(value.shape)}")
    return value


def count(state: State, pattern: str, what: str) -> int:
    """How many numbered parts there are: one more than the largest number that `pattern` (one group) matches."""
    numbers = {int(match[1]) for key in state if (match := re.match(pattern, key))}
    gaps = [number for number in range(len(numbers)) if number not in numbers]
    if gaps:
        name = re.sub(r"\\\.", ".", pattern).replace(r"(\d+)", str(gaps[0]))
        raise WeightsError(f"{what}: missing: {name}*")
    return len(numbers)


def without_prefix(state: State, prefix: str) -> State:
    """The entries under a prefix, without it."""
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def anywhere(state: State, ending: str) -> bool:
    """Whether some key ends so: an option of a block is on if any block has it."""
    return any(key.endswith(ending) for key in state)


def has(state: State, *prefixes: str) -> bool:
    """Whether every prefix begins some key."""
    return all(any(key.startswith(prefix) for key in state) for prefix in prefixes)
