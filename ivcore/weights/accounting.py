"""Accounts for every tensor of a checkpoint: it is loaded, ignored for a stated reason, or named in an error."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from ivcore.errors import UserError

State = dict[str, Tensor]


class WeightsError(UserError):
    """A checkpoint that has no published layout, or is incomplete."""


def listed(keys, most: int = 6) -> str:
    """The keys as one phrase: the first `most`, then the number of the others."""
    keys = list(keys)
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more


def assemble(module: nn.Module, state: State, what: str, dtype: torch.dtype | None = torch.float32) -> nn.Module:
    """Loads `state`, which has the module's names, into a module on the meta device; returns it in eval mode.

    Raises WeightsError that names the keys that are missing, unexpected or of the wrong shape.
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
    """WeightsError that names the first tensor with other than finite real numbers. Masks may have infinity; tensors on the meta device
    are not checked."""
    for key, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            kind = "complex" if value.is_complex() else "quantized" if value.is_quantized else "sparse"
            raise WeightsError(f"{what}: {key} is {kind}, must hold real numbers")
        if value.is_meta or not value.is_floating_point() or not value.numel() or key.endswith("mask"):
            continue
        value = value.float() if value.itemsize == 1 else value
        least, greatest = value.aminmax()  # NaN if any number is NaN; sixty times as fast as isfinite()
        if not (least.isfinite() and greatest.isfinite()):
            held = "NaN" if least.isnan() else "infinity"
            raise WeightsError(
                f"{what}: {key} holds {held}: the training that saved it had diverged, or the file is damaged"
            )


def _own(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A copy, so that the caller's tensors do not change; floats as `dtype`, or unchanged if that is None."""
    return value.detach().to(dtype if value.is_floating_point() else None, copy=True)


def need(state: State, key: str, what: str, under: str = "", dims: int | None = None) -> Tensor:
    """A tensor that gives the layout's shape. WeightsError unless it exists and has `dims` dimensions. under: its prefix in the file."""
    if key not in state:
        raise WeightsError(f"{what}: missing: {under}{key}")
    value = state[key]
    if not value.numel() or dims not in (None, value.dim()):
        raise WeightsError(f"{what}: wrong shape: {under}{key} is {tuple(value.shape)}")
    return value


def count(state: State, pattern: str, what: str) -> int:
    """The number of numbered parts whose keys match `pattern` (one group, the number). WeightsError for a gap in the numbers."""
    numbers = {int(match[1]) for key in state if (match := re.match(pattern, key))}
    gaps = [number for number in range(len(numbers)) if number not in numbers]
    if gaps:
        name = re.sub(r"\\\.", ".", pattern).replace(r"(\d+)", str(gaps[0]))
        raise WeightsError(f"{what}: missing: {name}*")
    return len(numbers)


def without_prefix(state: State, prefix: str) -> State:
    """The entries whose keys have a prefix, with the prefix removed."""
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def anywhere(state: State, ending: str) -> bool:
    """Whether a key has this ending: an option of a block is on if any block has it."""
    return any(key.endswith(ending) for key in state)


def has(state: State, *prefixes: str) -> bool:
    """Whether each prefix begins a key."""
    return all(any(key.startswith(prefix) for key in state) for prefix in prefixes)
