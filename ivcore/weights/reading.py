"""Reading a checkpoint without running anything in it.

.safetensors files hold tensors only. torch files (.pt, .pth, .pyth, .bin, .ckpt) are pickles: they are opened with weights_only,
which builds tensors and plain containers and refuses everything else. TorchScript archives (OpenAI's CLIP files) are opened by
`torchscript.py`, which never runs their code. Folders are what transformers and huggingface_hub write.
"""

from __future__ import annotations

import argparse
import json
import pickle
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ivcore.checkpoints import read_config
from ivcore.weights.accounting import State, WeightsError, has, listed
from ivcore.weights.torchscript import is_torchscript, read_torchscript

WRAPPERS = (
    "model",
    "module",
    "state_dict",
    "model_state",
    "model_state_dict",
)  # who wraps: VideoMAE, DeepSpeed, Lightning, SlowFast
FOLDER_FILES = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)


def read(path: Path) -> tuple[State, dict]:
    """A checkpoint file or folder -> (its tensors by name, what its config.json says)."""
    if path.is_dir():
        return _read_folder(path)
    if path.suffix == ".json":
        return _read_shards(path), {}
    return unwrap(_read_file(path), str(path)), _saved_config(path)


def _saved_config(path: Path) -> dict:
    """What this project's own runs write into the metadata of their weights; {} for other files."""
    return (read_config(path) or {}) if path.suffix == ".safetensors" else {}


def unwrap(content, what: str) -> State:
    """The state dict inside a training checkpoint, without the prefixes that wrappers add."""
    for _ in range(3):  # DeepSpeed inside Lightning happens
        inner = next(
            (
                content[key]
                for key in WRAPPERS
                if isinstance(content, dict) and isinstance(content.get(key), dict)
            ),
            None,
        )
        if inner is None:
            break
        content = inner
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"{what}: holds no state dict, but {type(content).__name__}")
    strange = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise WeightsError(f"{what}: these entries are not tensors: {listed(strange)}")
    return _strip(content)


def _strip(state: State) -> State:
    """Drop a prefix that every key shares: DataParallel's module., a wrapper's model. or backbone."""
    for prefix in ("module.", "model.", "backbone."):
        if all(key.startswith(prefix) for key in state):
            return _strip({key.removeprefix(prefix): value for key, value in state.items()})
    if has(state, "blocks.") or not has(state, "encoder.blocks.") or has(state, "decoder."):
        return state
    return {key.removeprefix("encoder."): value for key, value in state.items()}


def _read_file(path: Path):
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if is_torchscript(path):
            return read_torchscript(path)
        with torch.serialization.safe_globals(
            [argparse.Namespace]
        ):  # VideoMAE files carry their arguments: plain values
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: refused, nothing in it was run: {_reason(error)}") from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, OSError, IndexError) as error:
        raise WeightsError(
            f"{path}: not a checkpoint that can be read ({type(error).__name__}: {_reason(error)})"
        ) from None


def _reason(error: Exception) -> str:
    """The telling sentence of a long message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "global" in line.lower() or "unsupported" in line.lower()]
    return (telling or lines or ["unreadable"])[0][:200]


def _read_folder(path: Path) -> tuple[State, dict]:
    config = {}
    for name in ("config.json", "open_clip_config.json"):
        if (path / name).is_file():
            config |= json.loads((path / name).read_text())
    for index in sorted(path.glob("*.index.json")):
        return _read_shards(index), config
    for name in FOLDER_FILES:
        if (path / name).is_file():
            return unwrap(_read_file(path / name), str(path / name)), config | _saved_config(path / name)
    files = [
        file
        for ending in ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.pyth", "*.ckpt")
        for file in path.glob(ending)
    ]
    if len(files) != 1:
        raise WeightsError(
            f"{path}: expected one checkpoint file in the folder, found {listed(f.name for f in files) or 'none'}"
        )
    return unwrap(_read_file(files[0]), str(files[0])), config


def _read_shards(index: Path) -> State:
    """A sharded checkpoint: the index names the file of every tensor."""
    places = json.loads(index.read_text()).get("weight_map", {})
    state: State = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise WeightsError(f"{index}: names a file outside its folder: {name}")
        state |= unwrap(_read_file(index.parent / name), str(index.parent / name))
    missing = [key for key in places if key not in state]
    if missing:
        raise WeightsError(f"{index}: missing from its files: {listed(missing)}")
    return state
