"""Reads the tensors of a TorchScript archive without its code; OpenAI published CLIP's weights in this form.

The archive is a zip: `data.pkl` pickles the tree of modules, `data/<n>` has each tensor's bytes. The unpickler builds tensors and
plain containers; an instance of a class of the archive becomes a record of attributes without behaviour.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from ivcore.weights.accounting import WeightsError


def is_torchscript(path: Path) -> bool:
    """Whether a file is a zip with a TorchScript module's code."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/", 1)[-1] == "constants.pkl" for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Dotted name -> parameter or buffer. WeightsError for an archive of something other than a model."""
    with zipfile.ZipFile(path) as archive:
        root = next(name.split("/", 1)[0] for name in archive.namelist())
        tree = _Unpickler(archive, root).load()
    if not isinstance(tree, _Record):
        raise WeightsError(f"{path}: a TorchScript archive of a {type(tree).__name__}, not of a model")
    return dict(_tensors(tree, ""))


class _Record:
    """Replaces an instance of a class of the archive: its attributes, no behaviour."""

    def __init__(self, *_):
        self.attributes: dict = {}

    def __setstate__(self, state):
        self.attributes = state if isinstance(state, dict) else {}


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str):
        super().__init__(archive.open(f"{root}/data.pkl"))
        self.archive, self.root, self.storages = archive, root, {}

    def find_class(self, module: str, name: str):
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
            return _rebuild_tensor if name == "_rebuild_tensor_v2" else _rebuild_parameter
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "collections" and name == "OrderedDict":
            return OrderedDict
        if module.startswith("__torch__"):
            return _Record
        if module == "torch.jit._pickle":
            return _first
        raise pickle.UnpicklingError(f"Unsupported global: {module}.{name} is not part of a TorchScript module's data")

    def persistent_load(self, place):
        _, dtype, key, _, _ = place
        if key not in self.storages:
            content = self.archive.read(f"{self.root}/data/{key}")
            self.storages[key] = (
                torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)
            )
        return self.storages[key]


_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def _rebuild_tensor(storage: Tensor, offset, size, stride, *_) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()


def _rebuild_parameter(tensor: Tensor, *_) -> Tensor:
    return tensor


def _first(value, *_):
    """Removes the type tags of lists and dicts."""
    return value


def _tensors(node, prefix: str):
    for name, value in node.attributes.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Record):
            yield from _tensors(value, f"{prefix}{name}.")
