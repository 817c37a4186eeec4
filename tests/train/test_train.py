"""The loop: what it computes, what it writes, and that stopping and starting again changes nothing."""

import json
import os
import random
import shutil
import signal

import numpy as np
import pytest
import torch
from folder_contents import contents_and_times
from torch import nn

from ivcore.errors import UserError
from ivcore.train import Batches, InMemory, Interrupted, Recipe, train
from ivcore.train.checkpoints import Checkpoints, forget_states
from ivcore.train.engine import Engine
from ivcore.train.loop import _Loop
from ivcore.train.optim import lr_at

SIZE, BATCH = 40, 8


def network(seed=0, dropout=0.2):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 12, bias=False), nn.BatchNorm1d(12), nn.Dropout(dropout), nn.GELU(), nn.Linear(12, 6)
    )


def data(**options):
    x = torch.randn(SIZE, 6, generator=torch.Generator().manual_seed(1))
    return Batches(InMemory(x=x, path=[f"{i}.mp4" for i in range(SIZE)]), BATCH, seed=2, **options)


def restless(model, batch, generator):
    """A loss that draws from every generator there is."""
    noise = torch.rand(batch["x"].shape, generator=generator) + 0.1 * random.random() + 0.1 * np.random.rand()
    loss = (model(batch["x"] + noise) - batch["x"]).square().mean()
    return loss, {"noise": noise.mean(), "constant": 3.0}


def calm(model, batch, generator):
    return (model(batch["x"]) - batch["x"]).square().mean(), {}


class Growing:
    """A loss that is told how far training is."""

    def __init__(self):
        self.shares = []

    def at(self, share):
        self.shares.append(share)

    def __call__(self, model, batch, generator):
        return calm(model, batch, generator)


def recipe(**changes):
    return Recipe(**{"batch_size": BATCH, "lr": 1e-2, "steps": 23, "warmup_steps": 4, "log_every": 1, **changes})


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def lines(folder):
    """train.jsonl without what depends on the clock."""
    records = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    timing = ("seconds", "clips_per_s", "data_wait")
    return [{k: v for k, v in r.items() if k not in timing} for r in records if "resumed_from" not in r]


def crashing_at(step, loss=restless):
    calls = iter(range(10**9))

    def crash(model, batch, generator):
        if next(calls) == step:
            raise ZeroDivisionError
        return loss(model, batch, generator)

    return crash


# ---- what it computes


@pytest.mark.parametrize("clip", [None, 0.05])
def test_equal_to_the_loop_one_would_write_by_hand(tmp_path, clip):
    batches, ours, plain = data(), network(dropout=0.0), network(dropout=0.0)
    history = train(
        ours, calm, batches, recipe(clip_grad=clip, min_lr=1e-3, warmup_lr=5e-4, weight_decay=0.1), tmp_path
    )

    spared = [p for p in plain.parameters() if p.ndim == 1]
    decayed = [p for p in plain.parameters() if p.ndim > 1]
    groups = [{"params": spared, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.1}]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95))
    plain.train()
    losses, norms = [], []
    for step in range(23):
        for group in optimizer.param_groups:
            group["lr"] = lr_at(step, 23, 1e-2, 1e-3, 4, 5e-4)
        loss = (plain(batches.fetch(step)["x"]) - batches.fetch(step)["x"]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(plain.parameters(), clip or 1e9).item())
        optimizer.step()
        losses.append(loss.item())

    for a, b in zip(ours.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert history.series("loss")[1] == pytest.approx(losses, rel=1e-5)
    assert history.series("grad_norm")[1] == pytest.approx(norms, rel=1e-4)
    assert history.series("lr") == (
        list(range(1, 24)),
        pytest.approx([lr_at(s, 23, 1e-2, 1e-3, 4, 5e-4) for s in range(23)]),
    )
    assert not ours.training


@pytest.mark.parametrize("micro_batch", [1, 3, 4])
def test_accumulating_equals_the_big_batch(tmp_path, micro_batch):
    """Uneven pieces too. Batch norm would see the pieces, so the model has none."""
    models = []
    for name, clips in (("whole", 0), ("pieces", micro_batch)):
        torch.manual_seed(0)
        models.append(nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6)))
        history = train(models[-1], calm, data(), recipe(micro_batch=clips, clip_grad=0.5), tmp_path / name)
        models.append(history.series("loss")[1])
    for a, b in zip(models[0].parameters(), models[2].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert models[1] == pytest.approx(models[3], rel=1e-4)


def test_average_of_the_weights(tmp_path):
    seen = []

    def watch(model, batch, generator):
        seen.append([p.detach().clone() for p in model.parameters()])
        return calm(model, batch, generator)

    model = network()
    history = train(model, watch, data(), recipe(ema_decay=0.8), tmp_path)
    expected = seen[0]
    for weights in [*seen[1:], list(model.parameters())]:
        expected = [0.8 * e + 0.2 * w.detach() for e, w in zip(expected, weights, strict=True)]
    for got, e in zip(history.ema.parameters(), expected, strict=True):
        torch.testing.assert_close(got, e, rtol=1e-5, atol=1e-6)


def test_bf16_computes_in_bf16_and_keeps_fp32_weights(tmp_path):
    types = []

    def look(model, batch, generator):
        types.append(model(batch["x"]).dtype)
        return calm(model, batch, generator)

    model = network()
    train(model, look, data(), recipe(steps=2, precision="bf16"), tmp_path)
    train(model, look, data(), recipe(steps=2), tmp_path / "fp32")
    assert types == [torch.bfloat16] * 2 + [torch.float32] * 2
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_frozen_parameters_do_not_move(tmp_path):
    model, before = network(), network()
    model[0].requires_grad_(False)
    train(model, calm, data(), recipe(), tmp_path)
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[4].weight, before[4].weight)


def test_layer_decay_without_layers_is_refused(tmp_path):
    with pytest.raises(UserError, match="layer_decay"):
        train(network(), calm, data(), recipe(layer_decay=0.5), tmp_path)


# ---- what it writes


def test_lines_epochs_and_callbacks(tmp_path):
    heard, judged = [], []

    def judge(epoch, model):
        judged.append((epoch, model.training, torch.is_grad_enabled()))
        torch.rand(3)  # looking must not change training
        return {"accuracy": torch.tensor(epoch / 10), "matrix": np.eye(2)}

    model, alone = network(), network()
    history = train(model, restless, data(), recipe(log_every=4), tmp_path, on_epoch=judge, log=heard.append)
    train(alone, restless, data(), recipe(log_every=4), tmp_path / "alone")
    assert judged == [(e, False, False) for e in (1, 2, 3, 4, 5)]  # 5 batches an epoch, 23 steps
    assert history.series("accuracy") == ([5, 10, 15, 20, 23], pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert history.last("matrix") == [[1, 0], [0, 1]]
    assert history.series("loss")[0] == [4, 8, 12, 16, 20, 23]
    assert heard == history.records
    first = heard[0]
    assert {
        "step",
        "epoch",
        "loss",
        "noise",
        "constant",
        "grad_norm",
        "lr",
        "clips_per_s",
        "data_wait",
        "seconds",
    } == first.keys()
    assert (first["epoch"], first["constant"]) == (0.8, 3.0)
    assert same_weights(model, alone)


def test_a_line_holds_the_mean_since_the_last(tmp_path):
    each = train(network(), restless, data(), recipe(), tmp_path / "each").series("loss")[1]
    fourth = train(network(), restless, data(), recipe(log_every=4), tmp_path / "fourth").series("loss")[1]
    assert fourth[:2] == pytest.approx([np.mean(each[:4]), np.mean(each[4:8])])
    assert fourth[-1] == pytest.approx(np.mean(each[20:]))


def test_plain_lines_in_a_log(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("IVCORE_HEADLESS", "1")
    train(network(), calm, data(), recipe(), tmp_path, label="masked pretraining")
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()  # on a slow machine there is one on the way, too
    assert all(line.startswith("masked pretraining: step ") for line in lines)
    assert lines[-1].startswith("masked pretraining: step 23/23 (100%)  loss ")


# ---- stopping and starting again


@pytest.mark.filterwarnings("ignore:.*passed over")
@pytest.mark.parametrize(
    "options", [{}, {"ema_decay": 0.9, "log_every": 4}, {"micro_batch": 3, "clip_grad": 0.1}, {"precision": "bf16"}]
)
def test_a_crashed_run_continues_bit_for_bit(tmp_path, options):
    def run(name, model, loss, chosen):
        return train(model, loss, data(), chosen, tmp_path / name, on_epoch=lambda epoch, _: {"done": epoch})

    whole, broken = network(), network()
    expected = run("whole", whole, restless, recipe(**options))
    often = recipe(checkpoint_seconds=0, keep_checkpoints=4, **options)
    for crash in (7, 5, 3):
        with pytest.raises(ZeroDivisionError):
            run("broken", broken, crashing_at(crash * often.grad_accum_steps(1)), often)
        broken = network(seed=99)  # a new process knows nothing
        random.seed(5)
        for lost in sorted((tmp_path / "broken" / "checkpoints").glob("*.pt"))[-2:]:
            lost.write_bytes(b"half")  # so that steps and lines are done again
    history = run("broken", broken, restless, recipe(**options))
    assert same_weights(whole, broken)
    assert history.resumed_from == 7 - 2 + 5 - 2 + 3 - 2
    assert lines(tmp_path / "broken") == lines(tmp_path / "whole")
    assert history.series("loss") == expected.series("loss")
    if often.ema_decay:
        assert same_weights(history.ema, expected.ema)


def test_workers_change_nothing_and_continue(tmp_path):
    alone, helped = network(), network()
    train(alone, restless, data(), recipe(), tmp_path / "alone")
    with pytest.raises(ZeroDivisionError):
        train(helped, crashing_at(9), data(num_workers=2), recipe(checkpoint_seconds=0), tmp_path / "helped")
    train(helped, restless, data(num_workers=1), recipe(), tmp_path / "helped")
    assert same_weights(alone, helped)


@pytest.mark.parametrize("number, error", [(signal.SIGTERM, Interrupted), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_ends_the_step_and_writes_a_checkpoint(tmp_path, number, error):
    counter = iter(range(10**9))

    def signalled(model, batch, generator):
        if next(counter) == 6:
            os.kill(os.getpid(), number)
        return restless(model, batch, generator)

    whole, stopped = network(), network()
    train(whole, restless, data(), recipe(), tmp_path / "whole")
    handler = signal.getsignal(number)
    with pytest.raises(error, match=f"stopped by {number.name} at step 7 of 23, checkpoint written"):
        train(stopped, signalled, data(), recipe(), tmp_path / "stopped")
    assert signal.getsignal(number) is handler
    history = train(network(seed=3), restless, data(), recipe(), tmp_path / "stopped")
    assert history.resumed_from == 7
    final = network(seed=4)
    train(final, restless, data(), recipe(), tmp_path / "stopped")
    assert same_weights(whole, final)


def test_sigusr1_asks_for_a_checkpoint_and_training_goes_on(tmp_path):
    def asks(model, batch, generator):
        if not (tmp_path / "asked").exists():
            (tmp_path / "asked").touch()
            os.kill(os.getpid(), signal.SIGUSR1)
        return restless(model, batch, generator)

    train(network(), asks, data(), recipe(keep_checkpoints=99), tmp_path)
    first, *others = Checkpoints(tmp_path / "checkpoints").steps()
    assert first == 1 and len(others) == 1


def test_no_step_is_made_where_the_disk_has_no_room_for_checkpoints(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(UserError, match=r"3 checkpoints of .* GB need room, and 5e-06 GB are free"):
        train(network(), lambda *_: pytest.fail("a step"), data(), recipe(), tmp_path)


def test_a_finished_run_is_not_trained_again(tmp_path):
    model, other = network(), network(seed=9)
    first = train(model, restless, data(), recipe(), tmp_path)
    again = train(other, crashing_at(0), data(), recipe(), tmp_path)
    assert same_weights(model, other)
    assert (again.resumed_from, again.records) == (23, first.records)


def test_resuming_is_announced(tmp_path, capsys):
    with pytest.raises(ZeroDivisionError):
        train(network(), crashing_at(9), data(), recipe(checkpoint_seconds=0), tmp_path, label="stage")
    assert "resumed" not in capsys.readouterr().out
    history = train(network(), restless, data(), recipe(), tmp_path, label="stage")
    assert capsys.readouterr().out.startswith("stage: resumed from step 9 of 23\n")
    assert history.series("resumed_from") == ([9], [9])
    assert '"resumed_from": 9' in (tmp_path / "train.jsonl").read_text()


def test_seconds_go_on_counting(tmp_path):
    with pytest.raises(ZeroDivisionError):
        train(network(), crashing_at(9), data(), recipe(checkpoint_seconds=0), tmp_path)
    seconds = train(network(), restless, data(), recipe(), tmp_path).series("seconds")[1]
    assert seconds == sorted(seconds)
    assert seconds[-1] >= seconds[8] > 0


@pytest.mark.parametrize(
    "change, told",
    [
        ({"lr": 2e-2}, "lr was 0.01 and is 0.02"),
        ({"steps": 30}, "steps was 23 and is 30"),
        ({"seed": 5}, "seed was 0 and is 5"),
    ],
)
def test_a_folder_of_another_run_is_refused(tmp_path, change, told):
    train(network(), calm, data(), recipe(), tmp_path)
    model = network(seed=8)
    with pytest.raises(UserError, match=told):
        train(model, calm, data(), recipe(**change), tmp_path)
    assert same_weights(model, network(seed=8))


def test_other_data_or_another_model_are_refused(tmp_path):
    train(network(), calm, data(), recipe(), tmp_path)
    fewer = Batches(InMemory(x=torch.zeros(39, 6)), BATCH, seed=2)
    with pytest.raises(UserError, match="data size was 40 and is 39"):
        train(network(), calm, fewer, recipe(), tmp_path)
    with pytest.raises(UserError, match="weights do not fit Linear"):
        train(nn.Linear(6, 6), calm, data(), recipe(), tmp_path)
    with pytest.raises(UserError, match="batch_size=4 in the recipe"):
        train(network(), calm, data(), recipe(batch_size=4), tmp_path)


def test_old_lines_without_a_checkpoint_are_dropped(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"step": 1, "loss": 9}\n{"step": 2, "lo')
    assert train(network(), calm, data(), recipe(), tmp_path).series("loss")[0] == list(range(1, 24))


# ---- numbers that are not finite


class Late(Engine):
    """Numbers have to be waited for, as on an accelerator."""

    asynchronous = True


def nan_loss(model, batch, generator, at=None):
    loss, numbers = calm(model, batch, generator)
    return (loss + float("nan") if next(at) == 9 else loss), numbers


def nan_gradient(model, batch, generator, at=None):
    """A finite loss whose gradient is not: the slope of a square root at 0."""
    loss, numbers = calm(model, batch, generator)
    return (loss + (0 * model[0].weight).sum().sqrt() if next(at) == 9 else loss), numbers


@pytest.mark.parametrize("loss, what", [(nan_loss, "loss"), (nan_gradient, "gradient norm")])
def test_the_step_and_its_files_are_named_and_the_weights_stay(tmp_path, loss, what):
    before, model = network(dropout=0.0), network(dropout=0.0)
    with pytest.raises(ZeroDivisionError):
        train(before, crashing_at(9, calm), data(), recipe(), tmp_path / "before")
    counter = iter(range(10**9))
    with pytest.raises(UserError, match=rf"^step 9: the {what} is nan; stopped before the update") as error:
        train(model, lambda *given: loss(*given, at=counter), data(), recipe(), tmp_path / "nan")
    facts = json.loads((tmp_path / "nan" / "nan_batch.json").read_text())
    indices = data().indices(9).tolist()
    assert (facts["step"], facts["epoch"], facts["batch"], facts["indices"]) == (9, 1, 4, indices)
    assert facts["paths"] == [f"{i}.mp4" for i in indices]
    assert all(name in str(error.value) for name in facts["paths"][:4])
    assert "\n" not in str(error.value)
    for a, b in zip(before.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert len(lines(tmp_path / "nan")) == 9


@pytest.mark.parametrize("loss", [nan_loss, nan_gradient])
def test_numbers_fetched_later_stop_the_weights_just_the_same(tmp_path, loss):
    """On an accelerator the loop learns of a bad step when it logs; until then no update gets through."""
    before, model = network(), network()
    with pytest.raises(ZeroDivisionError):
        train(before, crashing_at(9, calm), data(), recipe(), tmp_path / "before")
    counter = iter(range(10**9))
    late = recipe(log_every=6, checkpoint_seconds=600)
    with pytest.raises(UserError, match=r"^step 9: the .* is nan"):
        train(model, lambda *given: loss(*given, at=counter), data(), late, tmp_path / "nan", engine=Late)
    assert next(counter) == 12  # the next line would have been that of step 12
    for a, b in zip(before.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_numbers_fetched_later_are_the_same(tmp_path):
    now = train(network(), restless, data(), recipe(log_every=5), tmp_path / "now")
    later = train(network(), restless, data(), recipe(log_every=5), tmp_path / "later", engine=Late)
    assert lines(tmp_path / "now") == lines(tmp_path / "later")
    assert now.series("noise") == later.series("noise")


def test_without_files_the_items_are_named(tmp_path):
    batches = Batches(InMemory(x=torch.zeros(SIZE, 6)), BATCH, seed=2)
    with pytest.raises(UserError, match=rf"The batch: items {batches.indices(0)[0]}, "):
        train(network(), lambda m, b, g: (m(b["x"]).sum() * float("inf"), {}), batches, recipe(), tmp_path)


def test_speed_counts_the_clips_that_were_there(tmp_path, monkeypatch):
    """Batches may differ in size, as those of videos and images do; a collated pair of columns is not two clips."""
    clock = iter(range(10**6))
    monkeypatch.setattr("ivcore.train.loop.time.monotonic", lambda: float(next(clock)))
    source = InMemory(x=torch.zeros(20, 6))
    batches = Batches(source, BATCH, drop_last=False)  # 8, 8, 4
    even = Batches(source, BATCH)
    uneven, full = (
        train(network(), calm, b, recipe(steps=3, log_every=3), tmp_path / str(len(b))).last("clips_per_s")
        for b in (batches, even)
    )
    assert uneven == pytest.approx(full * 20 / 24, rel=0.01)


# ---- a run that is done


@pytest.mark.parametrize("inner", ["", "cells/one"])
def test_what_is_done_is_read_and_not_written(tmp_path, inner):
    """Also the averaged model, and also a part of a run that has several."""
    first = train(network(), restless, data(), recipe(ema_decay=0.9), tmp_path / inner)
    (tmp_path / "metrics.json").write_text('{"notebook": "10_stage", "preset": "tiny"}')
    before = contents_and_times(tmp_path)
    model = network(seed=5)
    shown = train(model, crashing_at(0), data(), recipe(ema_decay=0.9), tmp_path / inner)
    assert shown.records == first.records and same_weights(shown.ema, first.ema)
    assert not model.training and contents_and_times(tmp_path) == before


@pytest.mark.parametrize("inner", ["", "cells/one"])
def test_what_is_done_keeps_the_model_and_its_history_alone(tmp_path, inner):
    """Without optimiser, generators and older checkpoints; it is shown as before, and what stopped half-way keeps everything."""
    model = nn.Sequential(nn.Linear(6, 600), nn.Linear(600, 6))
    weights = sum(p.nbytes for p in model.parameters())
    chosen = recipe(ema_decay=0.9, checkpoint_seconds=0)
    with pytest.raises(ZeroDivisionError):
        train(model, crashing_at(9), data(), chosen, tmp_path / inner)
    stopped = size_of(tmp_path)
    first = train(model, restless, data(), chosen, tmp_path / inner)
    assert first.resumed_from == 9 and stopped > 7 * weights

    (tmp_path / "metrics.json").write_text('{"notebook": "10_stage", "preset": "tiny"}')
    forget_states(tmp_path)
    assert size_of(tmp_path) < 2.3 * weights  # the model and its average, once each
    forget_states(tmp_path)
    other = nn.Sequential(nn.Linear(6, 600), nn.Linear(600, 6))
    shown = train(other, crashing_at(0), data(), chosen, tmp_path / inner)
    assert same_weights(model, other) and same_weights(shown.ema, first.ema)
    assert (shown.resumed_from, shown.records) == (23, first.records)


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_is_done_is_not_trained_again_because_its_checkpoint_has_gone(tmp_path):
    train(network(), calm, data(), recipe(), tmp_path)
    (tmp_path / "metrics.json").write_text('{"notebook": "10_stage", "preset": "tiny"}')
    for file in (tmp_path / "checkpoints").glob("step-00000023*"):
        file.unlink()
    before = contents_and_times(tmp_path)
    with pytest.raises(UserError, match=r"is done, but its last checkpoint is not there.*--force"):
        train(network(), crashing_at(0), data(), recipe(), tmp_path)
    assert contents_and_times(tmp_path) == before


def test_a_loss_that_changes_is_told_how_far_training_is(tmp_path):
    loss = Growing()
    train(network(), loss, data(), recipe(steps=4, warmup_steps=0), tmp_path)
    assert loss.shares == [0.0, 0.25, 0.5, 0.75]


def test_a_run_from_before_a_field_was_there_is_shown(tmp_path):
    train(network(), calm, data(), recipe(steps=4, warmup_steps=0), tmp_path)
    (file,) = (tmp_path / "checkpoints").glob("*.trainer.pt")
    state = torch.load(file, weights_only=True)
    assert state["recipe"].pop("optimizer") == "adamw" and state["recipe"].pop("lr_drops") == ()
    loop = _Loop(network(), calm, data(), recipe(steps=4, warmup_steps=0), tmp_path, Engine, None, None, "train")
    loop.load(state)
    assert loop.step == 4
