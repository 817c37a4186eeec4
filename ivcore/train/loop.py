"""The one training loop: it knows steps, learning rates, logs and checkpoints, and nothing of any task.

A stage brings a model, a stream of batches and its own `loss(model, batch, generator) -> (scalar, {name: number})`. A run that was
killed and is started again in the same folder continues from its newest checkpoint and ends with the same weights, bit for bit
(on one device). On an accelerator nothing waits for a number except where a line is logged or a checkpoint written.

Several ranks (see ivcore.distributed) train one model together: each gets its part of every batch, gradients and numbers are averaged, and
rank 0 alone writes. Two ranks end with the weights that one process gets from the joined batches, to rounding (tested on CPUs, tiny model).
"""

import json
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from ivcore import distributed, rng
from ivcore.data.batches import Batches, InMemory
from ivcore.data.microbatch import micro_batches, size, to_device
from ivcore.errors import UserError
from ivcore.files import write_text
from ivcore.progress import Progress
from ivcore.signals import caught_signals
from ivcore.train.checkpoints import Checkpoints, load_weights, save_weights
from ivcore.train.engine import Plain
from ivcore.train.log import Journal
from ivcore.train.optim import lr_at
from ivcore.train.recipe import Recipe, linear_lr

__all__ = [
    "Batches",
    "History",
    "InMemory",
    "Interrupted",
    "Recipe",
    "linear_lr",
    "load_weights",
    "save_weights",
    "train",
]

_FREE = {
    "checkpoint_seconds",
    "keep_checkpoints",
    "log_every",
}  # a continuation may change these: they touch no weight
_EPOCH_GAP = (
    1 / 60
)  # an epoch that ends sooner after a checkpoint than this share of checkpoint_seconds writes no other


class Interrupted(UserError):
    """Told to stop (SIGTERM) and stopped after writing a checkpoint: the same call continues from there."""


@dataclass
class History:
    """What `train` returns: every line of train.jsonl, that of earlier attempts included."""

    records: list[dict] = field(default_factory=list)
    resumed_from: int = 0  # step of the checkpoint this call started from; 0 where it started afresh
    ema: nn.Module | None = None  # the averaged model, where the recipe asks for one

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """(steps, values) of one logged number."""
        rows = [(record["step"], record[name]) for record in self.records if name in record]
        return [step for step, _ in rows], [value for _, value in rows]

    def last(self, name: str) -> float | None:
        """The last value logged under a name; None where there is none."""
        return (self.series(name)[1] or [None])[-1]


def train(
    model: nn.Module,
    loss: Callable,
    batches: Batches,
    recipe: Recipe,
    folder: Path | str,
    *,
    on_epoch: Callable[[int, nn.Module], dict | None] | None = None,
    log: Callable[[dict], None] | None = None,
    label: str = "train",
    engine: type = Plain,
) -> History:
    """Train `model` in place on the device it is on, or continue what `folder` holds (train.jsonl, checkpoints/); ends in eval mode.

    loss(model, batch, generator) -> (scalar tensor, numbers to log). The generator lives on the CPU, so that nobody has to wait for an
    accelerator to see what was drawn, and belongs to the run's state: masks drawn from it continue after a resume. Tensors of the batch are
    on the device already.
    A loss is the mean over the clips of a batch, so that pieces of a batch (recipe.grad_accum_steps) can be averaged. One that is not has a method
    `accumulate(model, pieces, generator, engine) -> (loss, numbers)`, which calls engine.backward itself (see losses.video_text).
    on_epoch(epochs done, model) -> numbers to log, after each epoch and after the last step. It gets the averaged model where the
    recipe has ema_decay; in eval mode, without gradients. log(line) sees every line of train.jsonl.
    On several ranks: batches and recipe.batch_size are the joined ones, every rank calls on_epoch, and the numbers of rank 0 are kept.

    The global random generators are seeded with recipe.seed when a run starts afresh.
    Errors: UserError for a loss or gradient that is not finite (step and files named, nan_batch.json written, weights of before
    the step kept) and for a folder that holds another recipe's run; Interrupted after SIGTERM, KeyboardInterrupt after Ctrl-C, both
    with a checkpoint written.
    """
    loop = _Loop(model, loss, batches, recipe, Path(folder), engine)
    loop.on_epoch, loop.log, loop.label = on_epoch, log, label
    return loop.run()


class _Loop:
    """State of one call of `train`. `step` counts finished optimiser steps."""

    on_epoch = log = label = None

    def __init__(self, model, loss, batches, recipe, folder, engine):
        if batches.batch_size != recipe.batch_size:
            raise UserError(
                f"batch_size={recipe.batch_size} in the recipe, but the batches hold {batches.batch_size} clips"
            )
        self.model, self.loss, self.batches, self.recipe, self.folder = model, loss, batches, recipe, folder
        self.total, self.warmup = recipe.total_steps(len(batches)), recipe.warmup(len(batches))
        self.device = next(model.parameters()).device
        distributed.init_process_group(self.device)
        distributed.broadcast_params(model)
        self.rank, self.alone = distributed.rank(), distributed.world() == 1
        self.mine = batches if self.alone else batches.share(self.rank, distributed.world())
        self.engine = engine(model, recipe)
        self.ema = _average(model, recipe.ema_decay)
        self.generator = torch.Generator().manual_seed(self.seed())
        self.checkpoints = Checkpoints(folder / "checkpoints", recipe.keep_checkpoints)
        self.step, self.saved, self.seconds = 0, -1, 0.0
        self.pending: list[dict] = []  # numbers of steps still on the device
        self.places: list = []  # the files of these steps' batches
        self.window: list[dict] = []  # numbers since the last line
        self.clips = 0  # seen since the last line, by all ranks

    def seed(self, step: int = 0) -> int:
        """Of the generators, another one on every rank."""
        return self.recipe.seed + step + self.rank * 1_000_003

    def run(self) -> History:
        self.resume()
        history = History(self.journal.records, resumed_from=self.step, ema=self.ema and self.ema.module)
        try:
            if self.going_on:
                self.steps()
        finally:
            self.journal.close()
        self.model.eval()
        return history

    def resume(self) -> None:
        newest = distributed.broadcast_object(self.newest)
        if newest is None:
            rng.seed_all(self.seed())
        else:
            self.load(self.checkpoints.state(newest))
        if self.going_on and _is_finished(self.folder):
            raise UserError(
                f"{self.folder}: the run is done, but its last checkpoint is not there: begin it afresh to train again "
                "(iv run … --force, or fresh=True in start), which keeps the result"
            )
        self.journal = Journal(self.folder / "train.jsonl", self.step, write=self.going_on and self.rank == 0)

    @property
    def going_on(self) -> bool:
        """Whether there are steps to make; what has been trained to its end is only read."""
        return self.step < self.total

    def newest(self) -> int | None:
        """The checkpoint to go on from, with all later ones cleared away."""
        newest = self.checkpoints.newest()
        if newest != self.total and not _is_finished(self.folder):
            self.checkpoints.tidy(newest)
        return newest

    # ---- the loop

    def steps(self) -> None:
        self.model.train()
        if self.recipe.compile:
            self.model.compile()  # in place: names and state stay those of the plain model
        self.saved_at = self.clock_at = self.line_at = time.monotonic()
        self.clips, self.waited = 0, 0.0
        with caught_signals() as caught, self.progress() as bar:
            for batch in self.timed(iter(self.mine.iter_from(self.step, self.total))):
                self.update(to_device(batch, self.device))
                stop = self.after(bar, caught[0] if caught else 0)
                if stop:
                    self.stop(stop)

    def progress(self) -> Progress:
        return Progress(self.total, self.label, start=self.step, silent=self.rank > 0)

    def timed(self, stream: Iterator) -> Iterator:
        """Pass batches through and add up how long the loop waited for them."""
        asked = time.monotonic()
        for batch in stream:
            self.waited += time.monotonic() - asked
            yield batch
            asked = time.monotonic()

    def update(self, batch) -> None:
        """One optimiser step."""
        row = self.gradients(list(micro_batches(batch, self.recipe.grad_accum_steps)))
        row["grad_norm"] = self.engine.step(self.lr(self.step))
        self.pending.append(row)
        self.places.append(batch.get("path") if isinstance(batch, dict) else None)
        self.step += 1
        self.clips += size(batch) * distributed.world()
        if _at_once(self.device):
            self.collect()
        if self.ema is not None:
            self.ema.update(self.model)

    def gradients(self, parts: list[tuple]) -> dict:
        """Add up the gradients of a batch in (piece, share of the clips). Returns its numbers."""
        row: dict = {}
        if len(parts) > 1 and hasattr(self.loss, "accumulate"):
            batch = [piece for piece, _ in parts]
            value, numbers = self.loss.accumulate(self.model, batch, self.generator, self.engine)
            _add(row, {"loss": value, **numbers}, 1)
            return row
        for piece, share in parts:
            with self.engine.autocast():
                value, numbers = self.loss(self.model, piece, self.generator)
            self.engine.backward(value if share == 1 else value * share)
            _add(row, {"loss": value, **numbers}, share)
        return row

    def lr(self, step: int) -> float:
        recipe = self.recipe
        return lr_at(step, self.total, recipe.lr, recipe.min_lr, self.warmup, recipe.warmup_lr)

    def after(self, bar: Progress, signalled: int) -> int:
        """What is due after a step: a line, the end of an epoch, a checkpoint. Returns the signal to stop for, 0 for none.

        Clocks and signals differ between ranks: what one finds due, all do.
        """
        last = self.step == self.total
        ended = last or self.step % len(self.batches) == 0
        if last or self.step % self.recipe.log_every == 0:
            self.write_line(bar)
        if ended and self.on_epoch:
            self.end_epoch(bar)
        age = time.monotonic() - self.saved_at
        due = last or age >= self.recipe.checkpoint_seconds * (_EPOCH_GAP if ended else 1)
        due, stop = distributed.all_reduce_max((due, signalled))
        if due:
            self.save()
        bar.update(self.step)
        return int(stop)

    def end_epoch(self, bar: Progress) -> None:
        """Call on_epoch on a model at rest. It may draw random numbers freely: training goes on as if it had not."""
        self.collect()
        begun = time.monotonic()
        judged = self.model if self.ema is None else self.ema.module
        judged.eval()
        with torch.no_grad(), rng.seeded(self.recipe.seed, self.step):
            numbers = self.on_epoch(-(-self.step // len(self.batches)), judged) or {}
        self.model.train()
        self.line_at += time.monotonic() - begun  # not training time
        if numbers:
            self.record({name: _plain(value) for name, value in numbers.items()}, bar)

    def stop(self, number: int) -> None:
        if self.saved != self.step:
            self.save()
        where = f"stopped by {signal.Signals(number).name} at step {self.step} of {self.total}, checkpoint written"
        if number == signal.SIGINT:
            raise KeyboardInterrupt(where)
        raise Interrupted(f"{where}; run it again to continue")

    # ---- numbers

    def collect(self) -> None:
        """Fetch the numbers of the steps since the last call in one go, means over ranks; refuse what is not finite."""
        rows, places = _joined(_fetch(self.pending, self.device)), self.places
        self.pending, self.places = [], []
        for step, row, paths in zip(range(self.step - len(rows), self.step), rows, places):
            for name in ("loss", "grad_norm"):
                if not math.isfinite(row[name]):
                    self.refuse(step, name, row[name], paths)
        self.window += rows

    def refuse(self, step: int, name: str, value: float, paths: list | None) -> None:
        """Name the batch whose loss or gradient is not finite, in nan_batch.json and in the error."""
        (epoch, k), indices = divmod(step, len(self.batches)), self.batches.indices(step).tolist()
        paths = (
            None
            if paths is None
            else [str(path) for part in distributed.all_gather_object(paths) for path in part]
        )
        what = {"loss": "loss", "grad_norm": "gradient norm"}[name]
        facts = {
            "step": step,
            "epoch": epoch,
            "batch": k,
            "what": what,
            "value": str(value),
            "lr": self.lr(step),
        }
        text = json.dumps({**facts, "indices": indices, "paths": paths}, indent=1)
        file = self.folder / "nan_batch.json"
        if self.rank == 0:
            write_text(file, text)
        named = _listed(paths) if paths else f"items {_listed(indices)}"
        raise UserError(
            f"step {step}: the {what} is {value}; stopped before the update. The batch: {named} (all in {file}). "
            "If these clips are fine, lower lr, set clip_grad or use precision fp32"
        )

    def write_line(self, bar: Progress) -> None:
        """One line: means over the steps since the last one. The speed is that of all ranks; data_wait is the share of the time this
        process waited for batches."""
        self.collect()
        spent, clips = max(time.monotonic() - self.line_at, 1e-9), self.clips * self.recipe.repeats
        speed = {"clips_per_s": round(clips / spent, 2), "data_wait": round(min(1.0, self.waited / spent), 3)}
        self.record({**_means(self.window), "lr": self.lr(self.step - 1), **speed}, bar)
        self.window, self.line_at, self.clips, self.waited = [], time.monotonic(), 0, 0.0

    def record(self, numbers: dict, bar: Progress) -> None:
        self.tick()
        epoch = round(self.step / len(self.batches), 4)
        line = {"step": self.step, "epoch": epoch, **numbers, "seconds": round(self.seconds, 2)}
        self.journal.write(line)
        bar.numbers = {**numbers, **{name: old for name, old in bar.numbers.items() if name not in numbers}}
        if self.log and self.rank == 0:
            self.log(line)

    def tick(self) -> None:
        """Add the time since the last call to the run's seconds, which go on counting after a resume."""
        now = time.monotonic()
        self.seconds, self.clock_at = self.seconds + now - self.clock_at, now

    # ---- the run's state

    def save(self) -> None:
        self.collect()
        self.tick()
        self.journal.sync()
        state = self.state()
        if self.rank == 0:
            self.checkpoints.save(self.step, self.model, state)
        distributed.barrier()  # nobody goes on to what may read it
        self.saved, self.saved_at = self.step, time.monotonic()

    def state(self) -> dict:
        draws = distributed.all_gather_object(
            {"generator": self.generator.get_state(), "random": rng.capture()}
        )
        return {
            "step": self.step,
            "seconds": self.seconds,
            "recipe": self.recipe.as_dict(),
            "data": self.mine.identity(),
            "window": self.window,
            "engine": self.engine.state(),
            "ema": None if self.ema is None else self.ema.module.state_dict(),
            **draws[0],
            "others": draws[1:],  # of the other ranks
        }

    def load(self, state: dict) -> None:
        self.same_run(state["recipe"], self.recipe.as_dict())
        self.same_run(state["data"], self.mine.identity(), "data ")
        self.checkpoints.weights_into(self.model, state["step"])
        self.step, self.seconds, self.window = state["step"], state["seconds"], state["window"]
        self.engine.load(state["engine"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["ema"])
        if not self.going_on:
            return
        draws = [state, *state.get("others", ())]
        if len(draws) != distributed.world():
            self.draw_afresh(f"by {len(draws)} ranks, not {distributed.world()}")
            return
        rng.restore(draws[self.rank]["random"])
        self.generator.set_state(draws[self.rank]["generator"])

    def draw_afresh(self, why: str) -> None:
        warnings.warn(f"step {self.step} was saved {why}: masks will not be the same", stacklevel=2)
        self.generator.manual_seed(self.seed(self.step))
        rng.seed_all(self.seed(self.step))

    def same_run(self, then: dict, now: dict, kind: str = "") -> None:
        changed = [name for name in now if name not in _FREE and then.get(name) != now[name]]
        if changed:
            told = ", ".join(f"{kind}{name} was {then.get(name)} and is {now[name]}" for name in changed)
            raise UserError(
                f"{self.folder} holds another run: {told}. Begin afresh (iv run … --force, or fresh=True in start), which keeps what is there in previous/"
            )


def _is_finished(folder: Path) -> bool:
    """Whether the run that the folder is of, or a cell of, has its result: then nothing in it may be written."""
    return any((each / "metrics.json").is_file() for each in (folder, *folder.absolute().parents[:2]))


def _average(model: nn.Module, decay: float | None):
    """Exponential moving average of the weights, started from the model as it is."""
    if decay is None:
        return None
    from timm.utils import ModelEmaV3  # slow to import, and only needed here

    return ModelEmaV3(model, decay=decay)


def _add(row: dict, numbers: dict, share: float) -> None:
    """Add a piece's numbers to a step's, weighted by its share of the clips and free of any graph."""
    for name, value in numbers.items():
        value = value.detach() if isinstance(value, torch.Tensor) else value
        row[name] = value if share == 1 else row.get(name, 0.0) + value * share


def _at_once(device: torch.device) -> bool:
    """Numbers on the CPU are there when asked for, so that a bad one stops the run at once; an accelerator would have to be waited for."""
    return device.type == "cpu"


def _fetch(rows: list[dict], device: torch.device) -> list[dict]:
    """Rows of tensors as rows of floats, with one wait for the device."""
    if _at_once(device):
        return [{name: float(value) for name, value in row.items()} for row in rows]
    tensors = [
        torch.as_tensor(v, device=device, dtype=torch.float32).reshape(())
        for row in rows
        for v in row.values()
    ]
    values = iter(torch.stack(tensors).tolist() if tensors else ())
    return [{name: next(values) for name in row} for row in rows]


def _joined(rows: list[dict]) -> list[dict]:
    """Means over ranks of rows that have the same names on all."""
    if distributed.world() == 1:
        return rows
    flat = torch.tensor([value for row in rows for value in row.values()], dtype=torch.float64)
    values = iter(distributed.mean(flat).tolist())
    return [{name: next(values) for name in row} for row in rows]


def _means(rows: list[dict]) -> dict:
    sums: dict = {}
    for row in rows:
        for name, value in row.items():
            total, count = sums.get(name, (0.0, 0))
            sums[name] = (total + value, count + 1)
    return {name: total / count for name, (total, count) in sums.items()}


def _plain(value):
    """A number or array of torch or numpy as Python's own; the rest passes."""
    return value.tolist() if hasattr(value, "tolist") else value


def _listed(items: list, most: int = 4) -> str:
    shown = ", ".join(map(str, items[:most]))
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
