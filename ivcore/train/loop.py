"""The training loop for all tasks: it handles steps, learning rates, logs and checkpoints.

A stage supplies a model, a stream of batches and a `loss(model, batch, generator) -> (scalar, {name: number})`. A
killed run that is started again in the same folder continues from its newest checkpoint and ends with the same weights,
bit for bit (on one device). On an accelerator the loop waits for numbers only when it logs a line, ends an epoch or
writes a checkpoint.

Several ranks (see ivcore.distributed) train one model: each gets its part of every batch, gradients and numbers are
averaged, and only rank 0 writes. Up to rounding they reach the weights that one process gets from the joined batches
(tested on CPUs), because losses draw random numbers for the joined batch (see rng.rows). Two exceptions: dropout
differs on every rank, and batch norm sees only the rank's part of a batch. The engine decides how ranks share the work
(see train.engine).
"""

import json
import math
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import nn

from ivcore import distributed, rng
from ivcore.data.batches import BatchStream
from ivcore.data.microbatch import micro_batches, size, to_device
from ivcore.errors import UserError
from ivcore.files import write_text
from ivcore.progress import Progress
from ivcore.signals import caught_signals
from ivcore.train.checkpoints import Checkpoints
from ivcore.train.choose_engine import engine_of
from ivcore.train.engine import Engine
from ivcore.train.log import Log, add, fetch, means
from ivcore.train.optim import lr_at
from ivcore.train.recipe import Recipe

# Fields that a continued run may change, because they do not affect weights.
_FREE = {"checkpoint_seconds", "keep_checkpoints", "log_every"}
# It may also change how weights are computed; they then differ by rounding.
_FREE |= {"engine", "engine_config", "offload", "micro_batch", "compile", "activation_checkpointing"}
# The end of an epoch writes a checkpoint if the last one is older than this share of checkpoint_seconds.
_EPOCH_GAP = 1 / 60


class Interrupted(UserError):
    """SIGTERM stopped the training after a checkpoint was written. The same call continues from there."""


@dataclass
class History:
    """Result of `train`: all lines of train.jsonl, those of earlier attempts included."""

    records: list[dict] = field(default_factory=list)
    resumed_from: int = 0  # step of the checkpoint this call started from; 0 for a new run
    ema: nn.Module | None = None  # the averaged model, if the recipe asks for one

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """(steps, values) of a logged number."""
        rows = [(record["step"], record[name]) for record in self.records if name in record]
        return [step for step, _ in rows], [value for _, value in rows]

    def last(self, name: str) -> float | None:
        """The last value logged under a name, or None."""
        return (self.series(name)[1] or [None])[-1]


def train(
    model: nn.Module,
    loss: Callable,
    batches: BatchStream,
    recipe: Recipe,
    folder: Path | str,
    *,
    on_epoch: Callable[[int, nn.Module], dict | None] | None = None,
    log: Callable[[dict], None] | None = None,
    label: str = "train",
    engine: type[Engine] | None = None,
) -> History:
    """Trains `model` in place on its device, or continues the run in `folder` (train.jsonl, checkpoints/). Ends in eval
    mode.

    loss(model, batch, generator) -> (scalar tensor, numbers to log). Batch tensors are on the device already. The
    generator is on the CPU, so that reading its numbers does not wait for an accelerator. It is part of the run's
    state: masks drawn from it continue after a resume.
    A loss must be the mean over the clips of a batch, so that micro-batches (recipe.micro_batch) can be averaged.
    Otherwise it needs a method `accumulate(micro_batches, generator, engine) -> (loss, numbers)`, which calls the
    engine itself (see losses.video_text). It must draw per-sample random numbers with `rng.rows`. Its model is the
    engine's: the caller's, or a copy sharded over ranks. A loss that changes during training has a method `at(share of
    steps done)`, which is called before every step.
    on_epoch(epochs done, model) -> numbers to log. It is called after each epoch and after the last step, without
    gradients, with the model in eval mode (the averaged one if recipe.ema_decay is set). log(line) gets every line of
    train.jsonl. With several ranks, `batches` and recipe.batch_size are the joined ones. Every rank calls on_epoch;
    rank 0's numbers are kept.
    engine: a class to use instead of that of recipe.engine.

    A new run seeds the global random generators with recipe.seed.
    Errors: UserError for a loss or gradient that is not finite (it names step and files, writes nan_batch.json, and
    keeps the weights of before the step) and for a folder that holds another recipe's run; Interrupted after SIGTERM
    and KeyboardInterrupt after Ctrl-C, both after writing a checkpoint. SIGUSR1 writes a checkpoint, and training
    continues.
    """
    return _Loop(model, loss, batches, recipe, Path(folder), engine, on_epoch, log, label).run()


class _Loop:
    """State of one call of `train`. `step` counts finished optimiser steps."""

    def __init__(self, model, loss, batches, recipe, folder, engine, on_epoch, log, label):
        if batches.batch_size != recipe.batch_size:
            raise UserError(
                f"batch_size={recipe.batch_size} in the recipe, but the batches hold {batches.batch_size} clips"
            )
        self.model, self.loss, self.batches, self.recipe, self.folder = model, loss, batches, recipe, folder
        self.on_epoch, self.callback, self.label = on_epoch, log, label
        self.total, self.warmup = recipe.total_steps(len(batches)), recipe.warmup(len(batches))
        self.device = next(model.parameters()).device
        distributed.init_process_group(self.device)
        self.rank, self.world = distributed.rank(), distributed.world()
        self.share = batches if self.world == 1 else batches.share(self.rank, self.world)
        self.engine_class = engine or engine_of(recipe.engine)
        self.generator = rng.StepGenerator()
        self.generator.manual_seed(recipe.seed)
        self.checkpoints = Checkpoints(folder / "checkpoints", recipe.keep_checkpoints)
        self.step, self.seconds = 0, 0.0
        self.pending: list[tuple] = []  # (numbers, files of the batch) of steps still on the device
        self.window: list[dict] = []  # numbers since the last line
        self.clips, self.waited = (0, 0.0)  # since the last line: clips seen by all ranks, seconds waiting for a batch

    def seed(self, step: int = 0) -> int:
        """Seed of the global generators, different on each rank."""
        return self.recipe.seed + step + self.rank * 1_000_003

    @property
    def going_on(self) -> bool:
        """True if steps are left. A finished training is only read."""
        return self.step < self.total

    def run(self) -> History:
        self.resume()
        history = History(self.log.records, resumed_from=self.step, ema=self.ema and self.ema.module)
        try:
            if self.going_on:
                self.train()
                self.engine.fill()
        finally:
            self.log.close()
        self.model.eval()
        return history

    def resume(self) -> None:
        """Loads the newest checkpoint, or starts a new run if there is none."""
        newest = distributed.broadcast_object(self.newest)
        state = None if newest is None else self.checkpoints.state(newest)
        if state is not None:
            self.load(state)
        self.ema = _average(self.model, self.recipe.ema_decay)
        if self.ema is not None and state is not None:
            self.ema.module.load_state_dict(state["ema"])
        if self.going_on:
            self.begin(state)
        if self.going_on and _is_finished(self.folder):
            raise UserError(
                f"{self.folder}: the run is done, but its last checkpoint is not there: begin it afresh to train again "
                "(iv run … --force, or fresh=True in start), which keeps the result"
            )
        self.log = Log(self.folder / "train.jsonl", self.step, write=self.going_on and self.rank == 0)
        if self.going_on and newest is not None:
            self.write({"resumed_from": self.step})
            if self.rank == 0:
                print(f"{self.label}: resumed from step {self.step} of {self.total}", flush=True)

    def begin(self, state: dict | None) -> None:
        """Gives the model to its engine, and restores the generators from the checkpoint."""
        self.engine = self.engine_class(self.model, self.recipe)
        if state is None:
            return rng.seed_all(self.seed())
        self.engine.load(state["engine"])
        draws = [state, *state["others"]]
        self.generator.set_state(draws[min(self.rank, len(draws) - 1)]["generator"])
        if len(draws) == self.world:
            return rng.restore(draws[self.rank]["random"])
        saved = f"step {self.step} was saved by {len(draws)} ranks, not {self.world}"
        warnings.warn(f"{saved}: dropout will not be the same", stacklevel=2)
        rng.seed_all(self.seed(self.step))

    def newest(self) -> int | None:
        """Step of the checkpoint to continue from, or None. Deletes later files."""
        newest = self.checkpoints.newest()
        if newest != self.total and not _is_finished(self.folder):
            self.checkpoints.tidy(newest)
        return newest

    def train(self) -> None:
        """Makes the remaining steps. After a step it logs a line, ends an epoch or writes a checkpoint when due."""
        recipe = self.recipe
        if self.rank == 0:
            self.checkpoints.require_room(self.checkpoint_bytes())
        self.engine.work.train()
        self.saved_at = self.clock_at = self.line_at = time.monotonic()
        progress = Progress(self.total, self.label, start=self.step, silent=self.rank > 0)
        with caught_signals() as caught, progress as self.bar:
            asked_at, asked_for = time.monotonic(), 0
            for batch in self.share.iter_from(self.step, self.total):
                self.waited += time.monotonic() - asked_at
                batch = to_device(batch, self.device)
                row = self.backward(batch)
                row["grad_norm"] = self.engine.step(self.lr(self.step))
                self.step += 1
                self.keep(row, batch)
                if self.ema is not None:
                    self.engine.fill()
                    self.ema.update(self.model)

                last = self.step == self.total
                epoch_ends = last or self.step % len(self.batches) == 0
                if last or self.step % recipe.log_every == 0:
                    self.write_line()
                if epoch_ends and self.on_epoch:
                    self.end_epoch()
                age = time.monotonic() - self.saved_at
                due = last or age >= recipe.checkpoint_seconds * (_EPOCH_GAP if epoch_ends else 1)
                due, asked_for = due or caught.checkpoints > asked_for, caught.checkpoints
                # Clocks and signals differ between ranks: if one rank must save or stop, all do.
                due, signalled = distributed.all_reduce_max((due, caught[0] if caught else 0))
                if due or signalled:
                    self.save()
                self.bar.update(self.step)
                if signalled:
                    self.stop(int(signalled))
                asked_at = time.monotonic()

    def lr(self, step: int) -> float:
        recipe = self.recipe
        return lr_at(step, self.total, recipe.lr, recipe.min_lr, self.warmup, recipe.warmup_lr, recipe.lr_drops)

    def backward(self, batch) -> dict:
        """Accumulates the gradients of a batch, in micro-batches. Returns its numbers."""
        row: dict = {}
        if hasattr(self.loss, "at"):
            self.loss.at(self.step / self.total)
        cut = list(micro_batches(batch, self.recipe.grad_accum_steps(self.world)))
        if len(cut) > 1 and hasattr(self.loss, "accumulate"):
            if not self.engine.looks_ahead:
                where = f"micro_batch={self.recipe.micro_batch}, engine={self.recipe.engine}"
                raise UserError(
                    f"{where}: a loss over the whole batch cannot be taken in pieces there; zero2 or fsdp, or micro_batch=0"
                )
            cut = [micro_batch for micro_batch, _ in cut]
            value, numbers = self.loss.accumulate(cut, self.generator, self.engine)
            add(row, {"loss": value, **numbers})
            return row
        clips, drawn = size(batch), self.generator.get_state()
        seen = self.rank * clips
        for number, (micro_batch, share) in enumerate(cut):
            self.generator.set_state(drawn)  # every micro-batch draws for the joined batch and takes its own rows
            self.generator.sees(seen, seen := seen + size(micro_batch), clips * self.world)
            with self.engine.micro_batch(last=number == len(cut) - 1):
                value, numbers = self.engine.run(self.detached, micro_batch, self.generator)
                self.engine.backward(value if share == 1 else value * share)
            add(row, {"loss": value, **numbers}, share)
        return row

    def detached(self, model, batch, generator):
        """The loss, with its numbers detached from the graph."""
        value, numbers = self.loss(model, batch, generator)
        return value, {name: x.detach() if isinstance(x, torch.Tensor) else x for name, x in numbers.items()}

    def end_epoch(self) -> None:
        """Calls on_epoch. Random numbers that it draws do not affect training."""
        self.collect()
        begun = time.monotonic()
        self.engine.fill()
        model = self.model if self.ema is None else self.ema.module
        model.eval()
        with torch.no_grad(), rng.seeded(self.recipe.seed, self.step):
            numbers = self.on_epoch(-(-self.step // len(self.batches)), model) or {}
        self.engine.work.train()
        self.engine.rest()
        self.line_at += time.monotonic() - begun  # not training time
        if numbers:
            self.record({name: _plain(value) for name, value in numbers.items()})

    def stop(self, number: int) -> None:
        where = f"stopped by {signal.Signals(number).name} at step {self.step} of {self.total}, checkpoint written"
        if number == signal.SIGINT:
            raise KeyboardInterrupt(where)
        raise Interrupted(f"{where}; run it again to continue")

    # ---- numbers

    def keep(self, row: dict, batch) -> None:
        """Stores the numbers of the last step, and fetches them if that needs no wait."""
        self.pending.append((row, batch.get("path") if isinstance(batch, dict) else None))
        self.clips += size(batch) * self.world
        if not self.engine.asynchronous:
            self.collect()

    def collect(self) -> None:
        """Fetches the numbers of the steps since the last call, averaged over ranks. UserError if one is not finite."""
        rows, files = (fetch([row for row, _ in self.pending], self.device), [paths for _, paths in self.pending])
        self.pending = []
        for step, row, paths in zip(range(self.step - len(rows), self.step), rows, files):
            for name in ("loss", "grad_norm"):
                if not math.isfinite(row[name]):
                    self.refuse(step, name.replace("grad_norm", "gradient norm"), row[name], paths)
        self.window += rows

    def refuse(self, step: int, what: str, value: float, paths: list | None) -> None:
        """UserError that names the batch with a non-finite loss or gradient; nan_batch.json has the details."""
        (epoch, k), indices = divmod(step, len(self.batches)), self.batches.indices(step).tolist()
        if paths is not None:
            paths = [str(path) for of_rank in distributed.all_gather_object(paths) for path in of_rank]
        facts = {"step": step, "epoch": epoch, "batch": k, "what": what, "value": str(value), "lr": self.lr(step)}
        file = self.folder / "nan_batch.json"
        if self.rank == 0:
            write_text(file, json.dumps({**facts, "indices": indices, "paths": paths}, indent=1))
        named = _listed(paths) if paths else f"items {_listed(indices)}"
        self.engine.fill()
        raise UserError(
            f"step {step}: the {what} is {value}; stopped before the update. The batch: {named} (all in {file}). "
            "If these clips are fine, lower lr, set clip_grad or use precision fp32"
        )

    def write_line(self) -> None:
        """Logs a line: means over the steps since the last one, clips per second of all ranks, and data_wait, the share
        of time that this process waited for batches."""
        self.collect()
        spent, clips = max(time.monotonic() - self.line_at, 1e-9), self.clips * self.recipe.repeats
        speed = {"clips_per_s": round(clips / spent, 2), "data_wait": round(min(1.0, self.waited / spent), 3)}
        self.record({**means(self.window), "lr": self.lr(self.step - 1), **speed})
        self.window, self.line_at, self.clips, self.waited = [], time.monotonic(), 0, 0.0

    def record(self, numbers: dict) -> None:
        """Writes a line, and shows its numbers first on the progress bar."""
        self.tick()
        self.write(numbers)
        self.bar.numbers = {**numbers, **{n: v for n, v in self.bar.numbers.items() if n not in numbers}}

    def write(self, numbers: dict) -> None:
        epoch = round(self.step / len(self.batches), 4)
        line = {"step": self.step, "epoch": epoch, **numbers, "seconds": round(self.seconds, 2)}
        self.log.write(line)
        if self.callback and self.rank == 0:
            self.callback(line)

    def tick(self) -> None:
        """Adds the time since the last call to the run's seconds, which a resumed run continues."""
        now = time.monotonic()
        self.seconds, self.clock_at = self.seconds + now - self.clock_at, now

    # ---- the run's state

    def checkpoint_bytes(self) -> int:
        """Approximate size: weights, two moments of the trained ones, and the averaged model."""
        weights = [(weight.nbytes, weight.requires_grad) for weight in self.model.parameters()]
        return sum(size * (1 + 2 * trained + (self.ema is not None)) for size, trained in weights)

    def save(self) -> None:
        self.collect()
        self.tick()
        self.log.sync()
        draws = distributed.all_gather_object({"generator": self.generator.get_state(), "random": rng.capture()})
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "recipe": self.recipe.as_dict(),
            "data": self.share.identity(),
            "window": self.window,
            "engine": self.engine.state(),
            "ema": None if self.ema is None else self.ema.module.state_dict(),
            **draws[0],
            "others": draws[1:],  # generators of the other ranks
        }
        self.engine.fill()
        if self.rank == 0:
            self.checkpoints.save(self.step, self.model, state)
        self.engine.rest()
        distributed.barrier()  # all ranks wait until it is written
        self.saved_at = time.monotonic()

    def load(self, state: dict) -> None:
        unknown_then = {
            each.name: each.default for each in fields(Recipe)
        }  # defaults of fields that the recipe did not have yet
        self.same_run(unknown_then | state["recipe"], self.recipe.as_dict())
        self.same_run(state["data"], self.share.identity(), "data ")
        self.checkpoints.weights_into(self.model, state["step"])
        self.step, self.seconds, self.window = state["step"], state["seconds"], state["window"]

    def same_run(self, then: dict, now: dict, kind: str = "") -> None:
        changed = [name for name in now if name not in _FREE and then.get(name) != now[name]]
        if changed:
            changes = ", ".join(f"{kind}{name} was {then.get(name)} and is {now[name]}" for name in changed)
            raise UserError(
                f"{self.folder} holds another run: {changes}. Begin afresh (iv run … --force, or fresh=True in start), which keeps what is "
                "there in previous/"
            )


def _is_finished(folder: Path) -> bool:
    """True if the folder belongs to a run with a result, or to one of its cells. Then it must not change."""
    return any((place / "metrics.json").is_file() for place in (folder, *folder.absolute().parents[:2]))


def _average(model: nn.Module, decay: float | None):
    """Exponential moving average of the weights, starting from the current model; None without `decay`."""
    if decay is None:
        return None
    from timm.utils import ModelEmaV3  # slow to import, and only needed here

    return ModelEmaV3(model, decay=decay)


def _plain(value):
    """Converts a torch or numpy value to plain Python; returns other values unchanged."""
    return value.tolist() if hasattr(value, "tolist") else value


def _listed(items: list, most: int = 4) -> str:
    first = ", ".join(map(str, items[:most]))
    return first if len(items) <= most else f"{first} and {len(items) - most} more"
