"""Reads a checkpoint without running anything in it.

.safetensors files have only tensors. torch files (.pt, .pth, .pyth, .bin, .ckpt) are pickles: they are opened with weights_only,
which builds tensors, plain containers and the harmless values of PLAIN, and refuses everything else. TorchScript archives
(OpenAI's CLIP files) are opened by `torchscript.py`, which never runs their code. Folders are those of transformers, huggingface_hub and
DeepSpeed.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from ivcore import git_lfs
from ivcore.weights import box
from ivcore.weights.accounting import State, WeightsError, listed, require_numbers
from ivcore.weights.torchscript import is_torchscript, read_torchscript
from ivcore.weights.unwrapping import unwrap

FOLDER_FILES = "model.safetensors open_clip_model.safetensors pytorch_model.bin open_clip_pytorch_model.bin".split()
CLASS = "class"  # the config field that names the class of a file of ours
ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".pyth", ".ckpt")


def _scalar(kind: np.dtype, content: bytes = b""):
    """A numpy number, such as a best accuracy saved with the weights; never an object."""
    if kind.hasobject or not isinstance(content, bytes):
        raise pickle.UnpicklingError("Unsupported global: a numpy scalar that holds an object")
    return np.frombuffer(content, kind)[0]


# values that training scripts save with the weights: arguments, paths, numbers
PLAIN = [
    argparse.Namespace,
    *((getattr(pathlib, f"Pure{system}Path"), f"{module}.{kind}{system}Path")
      for system in ("Posix", "Windows") for kind in ("", "Pure") for module in ("pathlib", "pathlib._local")),
    *((_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    *{type(np.dtype(code)) for code in "?bBhHiIlLqQefdgFD"},
]  # fmt: skip


def read(path: Path, entry: str | None = None) -> tuple[State, dict]:
    """A checkpoint file or folder -> (its tensors by name, its config). entry: one of several sets of weights. Errors: WeightsError."""
    if path.is_dir():
        state, config = _read_folder(path, entry)
    elif path.suffix == ".json":
        state, config = _read_shards(path), {}
    else:
        state, config = _whole(path, {}, entry)
    if empty := [key for key, value in state.items() if value.is_meta]:
        raise WeightsError(f"{path}: saved on the meta device, without their numbers: {listed(empty)}")
    require_numbers(state, str(path))
    return state, config


def _whole(path: Path, config: dict, entry: str | None) -> tuple[State, dict]:
    state, beside = unwrap(_read_file(path), str(path), entry)
    if path.suffix != ".safetensors":
        return state, config | beside
    with safe_open(str(path), framework="pt") as file:
        config |= beside | saved_config(file.metadata(), path)
    return box.complete(state, config, path), config


def read_config(path: Path) -> dict:
    """The config of a checkpoint file or folder, without reading its tensors; {} for a file where that would be necessary."""
    file = find(path) if path.is_dir() else path
    config = {} if file == path else _read_configs(file.parent)
    if file.suffix != ".safetensors":
        return config
    try:
        with safe_open(str(file), framework="pt") as opened:
            return config | saved_config(opened.metadata(), file)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file}: not a checkpoint that can be read ({error})") from None


def saved_config(metadata: dict | None, path: Path) -> dict:
    """The config that `save_weights` writes into a file's metadata, with the class under CLASS; {} for other files."""
    metadata = metadata or {}
    try:
        config = json.loads(metadata.get("config", "{}"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: the config in its metadata is not JSON ({error})") from None
    config = _table(config, path, "the config in its metadata")
    return config


def _table(content, path: Path, name: str) -> dict:
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: {name} is a {type(content).__name__}, must be a table of fields")
    return content


def _read_json(path: Path) -> dict:
    _no_pointer(path)
    try:
        return _table(json.loads(path.read_text(encoding="utf-8")), path, "its content")
    except (ValueError, RecursionError, OSError) as error:
        raise WeightsError(f"{path}: not JSON that can be read ({' '.join(str(error).split())[:120]})") from None


def _no_pointer(path: Path) -> None:
    """WeightsError for a Git LFS pointer (the text in place of a file that is not fetched yet), and for a web page."""
    with open(path, "rb") as file:
        begin = file.read(512)
    if git_lfs.is_pointer(begin):
        raise WeightsError(
            f"{path}: a Git LFS pointer, not the file itself; fetch it: git lfs install && git lfs pull, in the folder of its repository"
        )
    if begin.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise WeightsError(f"{path}: a web page, not a checkpoint; download the file itself")


def _read_file(path: Path):
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        _no_pointer(path)
        if path.suffix == ".safetensors":
            return load_file(path)
        if is_torchscript(path):
            return read_torchscript(path)
        with torch.serialization.safe_globals(PLAIN), warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: refused, nothing in it was run: {_reason(error)}") from None
    except Exception as error:  # the readers raise many kinds at broken files
        raise WeightsError(
            f"{path}: not a checkpoint that can be read ({type(error).__name__}: {_reason(error)})"
        ) from None


def _reason(error: Exception) -> str:
    """The most informative line of a long message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "global" in line.lower() or "unsupported" in line.lower()]
    return (telling or lines or ["unreadable"])[0][:200]


def _read_folder(path: Path, entry: str | None) -> tuple[State, dict]:
    file = find(path)
    config = _read_configs(file.parent)
    return (_read_shards(file), config) if file.suffix == ".json" else _whole(file, config, entry)


def _read_configs(folder: Path) -> dict:
    config = {}
    for name in ("config.json", "open_clip_config.json"):
        if (folder / name).is_file():
            config |= _read_json(folder / name)
    if (folder / "preprocessor_config.json").is_file():
        config["preprocessor"] = _read_json(folder / "preprocessor_config.json")
    return config


def find(folder: Path) -> Path:
    """The checkpoint in a folder: a file, or the index of several. Searches only the folder itself; for DeepSpeed also the folder that
    `latest` names. WeightsError if there is none or it is ambiguous."""
    try:
        return _find(folder)
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be read: {error.strerror}") from None


def _find(path: Path) -> Path:
    names = sorted(file.name for file in path.iterdir())
    candidates = [name for name in names if name.endswith(".index.json")] + [n for n in FOLDER_FILES if n in names]
    for name in candidates:
        if (path / name).is_file():
            return path / name
    if (path / "latest").is_file():  # DeepSpeed: a folder of folders
        tag = (path / "latest").read_text(errors="replace")[:200].strip()
        if tag in names and (path / tag).is_dir():
            return _find(path / tag)
    files = [
        path / name
        for ending in ENDINGS
        for name in names
        if name.endswith(ending) and not name.endswith("optim_states.pt")  # DeepSpeed's: one a rank, no weights
    ]
    if (
        any(file.name.startswith("zero_pp_rank_") for file in files)
        or sum(file.name.startswith("mp_rank_") for file in files) > 1
    ):
        raise WeightsError(
            f"{path}: DeepSpeed has cut the weights up over its ranks; put them together with the script beside them: "
            "python zero_to_fp32.py . pytorch_model.bin"
        )
    if not files:
        raise WeightsError(
            f"no checkpoint in {path}: no {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} file lies in that folder"
        )
    if len(files) > 1:
        raise WeightsError(f"{path}: expected one checkpoint file in the folder, found {listed(f.name for f in files)}")
    return files[0]


def _read_shards(index: Path) -> State:
    """The tensors of a sharded checkpoint, whose index names the file of each tensor."""
    places = _table(_read_json(index).get("weight_map", {}), index, "its weight_map")
    strange = [key for key, name in places.items() if not isinstance(name, str)]
    if strange or not places:
        raise WeightsError(f"{index}: its weight_map names no file for {listed(strange) or 'any tensor'}")
    state: State = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise WeightsError(f"{index}: names a file outside its folder: {name}")
        content = _read_file(index.parent / name)
        state |= _table(content, index.parent / name, "its content")
    missing = [key for key in places if key not in state]
    if missing:
        raise WeightsError(f"{index}: missing from its files: {listed(missing)}")
    return unwrap(state, str(index))[0]
