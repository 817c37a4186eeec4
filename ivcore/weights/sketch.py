"""Builds the model of a checkpoint without its weights, to check a parameter that names a checkpoint before a run starts."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ivcore import weights
from ivcore.errors import UserError
from ivcore.weights.hub import locate
from ivcore.weights.reading import find, saved_config

SMALL = 64 << 20  # bytes; smaller files load in an instant


def sketch(path: Path) -> nn.Module | None:
    """The module of `weights.load` for a file or folder. For a large .safetensors file it reads only the header, and the module is on the
    meta device. None for other large files. Errors: UserError as in `load`.
    """
    file = find(located) if (located := locate(str(path))).is_dir() else located
    pieces = [file] if file.suffix != ".json" else file.parent.glob("*.*")  # files of a sharded checkpoint
    if sum(map(_bytes, pieces)) <= SMALL:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # loading will repeat them
            return weights.load(path)
    return _from_header(path) if path.suffix == ".safetensors" else None


def _bytes(file: Path) -> int:
    """The size of a file in bytes; for an archive, the unpacked size."""
    if not zipfile.is_zipfile(file):
        return file.stat().st_size
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        return 0


def _from_header(path: Path) -> nn.Module | None:
    try:
        with safe_open(str(path), "pt") as file:
            config = saved_config(file.metadata(), path)
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a checkpoint that can be read ({error})") from None
    return weights.from_official({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, config)
