"""Checkpoints that survive a kill: weights as safetensors, the trainer's state in another file, a mark written last.

    step-00001200.safetensors   weights, loadable by anything that reads safetensors
    step-00001200.trainer.pt    optimiser, generators, place in the data: tensors and plain values (weights_only=True)
    step-00001200.json          sizes and checksums of both; written last, without it the checkpoint does not exist

Each file is written under another name, synced and renamed. A checkpoint that does not match its mark is skipped with a
warning, and the one before it is used. A finished run keeps only the last weights and the state that `train` needs to
show the run (step-00001200.shown.pt); see `forget_states`.
"""

import json
import shutil
import warnings
import zlib
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import nn

from ivcore import distributed
from ivcore.errors import UserError
from ivcore.files import write_atomic, write_text
from ivcore.weights.reading import CLASS


def save_weights(module: nn.Module, path: Path, config: dict | None = None) -> Path:
    """Writes the module's weights as safetensors, with its class and `config` as JSON metadata. Returns `path`.

    `weights.load` builds the module from this file. Tied weights are stored once. Only rank 0 writes; the others return
    at once.
    """
    if distributed.rank() > 0:
        return Path(path)
    # A single entry, because the order of several entries varies, and equal models should give equal files.
    metadata = {"config": json.dumps({CLASS: type(module).__name__} | (config or {}))}
    write_atomic(Path(path), lambda scratch: save_model(module, str(scratch), metadata))
    return Path(path)


def load_weights(module: nn.Module, path: Path) -> None:
    """Loads a file of `save_weights` into a module of the same shape. UserError says what does not fit."""
    try:
        load_model(module, str(path), device=str(next(module.parameters()).device))
    except Exception as error:  # safetensors and torch each raise several kinds
        raise UserError(
            f"{path}: weights do not fit {type(module).__name__}: {' '.join(str(error).split())[:300]}"
        ) from error


def forget_states(folder: Path) -> None:
    """Shrinks a finished run: each training in its folder keeps its last weights and the state needed to show it."""
    for pattern in ("checkpoints", "*/checkpoints", "*/*/checkpoints"):
        for place in Path(folder).glob(pattern):
            if not place.relative_to(folder).parts[0].startswith("previous"):
                Checkpoints(place).forget_states()


# Entries of a trainer's state that are needed only to continue training.
_FOR_TRAINING = {"engine", "generator", "random", "others"}


class Checkpoints:
    """The checkpoints of one run folder. Keeps the newest `keep`."""

    def __init__(self, folder: Path, keep: int = 2):
        self.folder, self.keep = Path(folder), keep

    def steps(self) -> list[int]:
        """Steps with a mark, in order."""
        return sorted(int(mark.stem.removeprefix("step-")) for mark in self.folder.glob("step-*.json"))

    def files(self, step: int) -> tuple[Path, Path, Path]:
        """Paths of (weights, trainer state, mark)."""
        stem = self.folder / f"step-{step:08d}"
        return stem.with_suffix(".safetensors"), stem.with_suffix(".trainer.pt"), stem.with_suffix(".json")

    def save(self, step: int, model: nn.Module, state: dict) -> None:
        """Writes the checkpoint of `step`, then deletes the oldest ones."""
        weights, trainer, mark = self.files(step)
        mark.unlink(missing_ok=True)  # a mark of an earlier attempt must not be valid for the new files
        save_weights(model, weights)
        write_atomic(trainer, lambda scratch: torch.save(state, scratch))
        self._mark(step, weights, trainer)
        for old in self.steps()[: -self.keep]:
            self.forget(old)

    def require_room(self, size: int) -> None:
        """UserError without room for `keep` + 1 checkpoints of `size` bytes: those kept and the one being written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        there = sum(file.stat().st_size for file in self.folder.glob("step-*"))
        free = shutil.disk_usage(self.folder).free
        if free + there < (self.keep + 1) * size:
            raise UserError(
                f"{self.folder}: {self.keep + 1} checkpoints of {size / 1e9:.2g} GB need room, and {free / 1e9:.2g} GB are free: free some space "
                "there, or let $IVCORE_OUTPUTS name a larger disk"
            )

    def _mark(self, step: int, *files: Path) -> None:
        text = json.dumps({"step": step, "files": {file.name: _print(file) for file in files}})
        write_text(self.files(step)[2], text)

    def forget(self, step: int) -> None:
        mark = self.files(step)[2]
        for file in (mark, *self.folder.glob(f"{mark.stem}.*")):  # the mark first, so that no mark is without its files
            file.unlink(missing_ok=True)

    def forget_states(self) -> None:
        """Deletes all checkpoints but the newest, and the optimiser and generators from its state."""
        newest = self.newest()
        for step in self.steps() if newest is not None else ():
            if step != newest:
                self.forget(step)
        if newest is None or not (trainer := self.files(newest)[1]).is_file():
            return
        state = {name: value for name, value in self.state(newest).items() if name not in _FOR_TRAINING}
        shown = trainer.with_name(trainer.name.replace("trainer", "shown"))
        write_atomic(shown, lambda scratch: torch.save(state, scratch))
        self._mark(
            newest, self.files(newest)[0], shown
        )  # from here on the checkpoint is whole without the trainer's state
        trainer.unlink()

    def tidy(self, newest: int | None) -> None:
        """Deletes half-written files of a killed run, and all checkpoints after `newest`, the last whole one."""
        marked = {step for step in self.steps() if newest is not None and step <= newest}
        for file in [*self.folder.glob("step-*"), *self.folder.glob(".step-*.tmp")]:
            if file.name.startswith(".") or int(file.name[5:13]) not in marked:
                file.unlink(missing_ok=True)

    def flaw(self, step: int) -> str | None:
        """Says what is wrong with a checkpoint; None if it is whole."""
        try:
            expected = json.loads(self.files(step)[2].read_text())["files"]
        except (ValueError, KeyError, TypeError, OSError):
            return "its mark does not read"
        for name, print_ in expected.items():
            file = self.folder / name
            if not file.is_file():
                return f"{name} is missing"
            if _print(file) != print_:
                return f"{name} is not what was written"
        return None

    def newest(self) -> int | None:
        """Step of the newest whole checkpoint, or None. Warns about each broken one that it skips."""
        for step in reversed(self.steps()):
            flaw = self.flaw(step)
            if flaw is None:
                return step
            warnings.warn(f"{self.folder}: checkpoint of step {step} passed over: {flaw}", stacklevel=2)
        return None

    def state(self, step: int) -> dict:
        """The trainer's state of a checkpoint, on the CPU."""
        names = json.loads(self.files(step)[2].read_text())["files"]
        (name,) = [name for name in names if name.endswith(".pt")]
        return torch.load(self.folder / name, map_location="cpu", weights_only=True)

    def weights_into(self, model: nn.Module, step: int) -> None:
        load_weights(model, self.files(step)[0])


def _print(file: Path) -> dict:
    """Size and CRC-32 of a file."""
    crc = 0
    with open(file, "rb") as stream:
        while block := stream.read(1 << 22):
            crc = zlib.crc32(block, crc)
    return {"bytes": file.stat().st_size, "crc32": crc}
