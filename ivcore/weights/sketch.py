"""A checkpoint looked at and not loaded: what a parameter that names one is checked by, before a run starts."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ivcore import weights
from ivcore.errors import UserError

SMALL = 64 << 20  # bytes that are loaded faster than anybody minds


def sketch(path: Path) -> nn.Module | None:
    """The module that `weights.load` gives for a file or folder. Of a large .safetensors file only the header is read: the module is on the
    meta device. None for other large files. Errors: UserError as from `load`.
    """
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    if sum(each.stat().st_size for each in files) <= SMALL:
        return weights.load(path)
    return _from_header(path) if path.suffix == ".safetensors" else None


def _from_header(path: Path) -> nn.Module | None:
    try:
        with safe_open(str(path), "pt") as file:
            config = json.loads((file.metadata() or {}).get("config", "{}"))
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a checkpoint that can be read ({error})") from None
    return weights.from_official(
        {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, config
    )
