"""The model of a checkpoint without its weights, to check a parameter that names one before a run starts."""

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

SMALL = 64 << 20  # bytes that load in an instant


def sketch(path: Path) -> nn.Module | None:
    """The module that `weights.load` gives for a file or folder. Of a large .safetensors file only the header is read: the module is on the
    meta device. None for other large files. Errors: UserError as from `load`.
    """
    file = find(located) if (located := locate(str(path))).is_dir() else located
    pieces = [file] if file.suffix != ".json" else file.parent.glob("*.*")  # of a sharded one
    if sum(map(_bytes, pieces)) <= SMALL:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # loading will repeat them
            return weights.load(path)
    return _from_header(path) if path.suffix == ".safetensors" else None


def _bytes(file: Path) -> int:
    """The size of a file, of an archive unpacked."""
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
