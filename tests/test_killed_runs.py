"""Three of the kills that tests/killed_runs.py draws, on a small notebook: a kernel by two signals, and who launched it."""

import killed_runs
import pytest
from killed_runs import Kill
from workbook import Workbook

pytestmark = pytest.mark.slow

TRAINS = """\
import time
import torch
from ivcore.train import Batches, InMemory, Recipe, save_weights, train

def loss(model, batch, generator):
    time.sleep(0.05)
    noise = torch.rand(batch["x"].shape, generator=generator)
    return model(batch["x"] + noise).square().mean(), {}

torch.manual_seed(seed)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1))
recipe = Recipe(batch_size=4, steps=80, lr=0.01, checkpoint_seconds=0.2)
history = train(model, loss, Batches(InMemory(x=torch.randn(16, 4)), 4, seed), recipe, run.dir)
save_weights(model, run.checkpoints / "model.safetensors")"""
ENDS = "run.finish({'loss': history.last('loss')})"
KILLS = [  # on one rank, for the sake of time; test_run_ranks has two
    Kill("10", 1, "kernel", "SIGKILL", 0.5, rank=0),
    Kill("10", 1, "kernel", "SIGTERM", 0.5, rank=0),
    Kill("10", 1, "launcher", "SIGKILL", 0.5, rank=0),
]


def test_killed_runs_end_as_if_nothing_had_happened(tmp_path, monkeypatch):
    book = Workbook(tmp_path, monkeypatch)
    book.notebook("10_stage", "## Training", TRAINS, ENDS)
    book.preset("10_stage", "quick", "{}\n")
    monkeypatch.setenv("IVCORE_ROOT", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(killed_runs.ROOT))
    found = killed_runs.run(tmp_path / "out", KILLS, {"10": ()})
    assert [each["same"] for each in found] == [True] * len(KILLS), found
    assert not [each["half_written"] for each in found if each["half_written"]]
    assert all(each["resumed"] for each in found)
    assert max(each["seconds_until_all_ended"] for each in found) < 60


def test_every_kind_of_kill_and_every_stage_is_drawn_alike():
    drawn = killed_runs.draw(0, 30, list(killed_runs.STAGES))
    assert (
        drawn == killed_runs.draw(0, 30, list(killed_runs.STAGES)) != killed_runs.draw(1, 30, list(killed_runs.STAGES))
    )
    kinds = [(kill.whom, kill.signal) for kill in drawn]
    assert {kinds.count(kind) for kind in kinds} == {5} and {kill.stage for kill in drawn} == {*killed_runs.STAGES}
    assert all(kill.ranks == 2 for kill in drawn if kill.whom == "rank")
