"""Two ranks run one notebook under torchrun: one of them fails, both are stopped, both go on, and rank 0 alone writes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workbook import Workbook, read

from ivcore import files, lock
from ivcore.errors import UserError
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run import launch

TRAINS = """\
import time
import matplotlib.pyplot as plt
import torch
from pathlib import Path
from ivcore import distributed
from ivcore.train import Batches, InMemory, Recipe, train

todo = Path({todo!r})

def loss(model, batch, generator):
    where = (run.rank, todo.read_text())
    if where == (1, "fail") and list(run.checkpoints.glob("step-*3.json")):
        raise RuntimeError("only on rank 1")
    time.sleep(0.3 if todo.read_text() == "wait" else 0)
    return model(batch["x"]).square().mean(), {{}}

torch.manual_seed(seed)
batches = Batches(InMemory(x=torch.randn(16, 4)), 4, seed)
recipe = Recipe(batch_size=4, steps=40, lr=lr, checkpoint_seconds=0.001)
history = train(torch.nn.Linear(4, 1), loss, batches, recipe, run.dir)"""
ENDS = """\
print("rank", run.rank, "trained")
run.write_json("facts", {"rank": run.rank})
run.figure(plt.figure(), f"drawn_by_{run.rank}")
run.finish({"resumed": history.resumed_from, "ranks": str(distributed.all_gather_object(run.rank)), "loss": history.last("loss")})"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    return Workbook(tmp_path, monkeypatch)


@pytest.fixture
def torchrun(book):
    """torchrun("10", "sweep") starts two ranks; what they print comes together."""
    started = []
    yield lambda *arguments: started.append(launched(book, *arguments)) or started[-1]
    for process in started:
        if process.poll() is None:
            process.terminate()  # it ends its ranks, and they their kernels
            process.communicate(timeout=60)


def launched(book, *arguments) -> subprocess.Popen:
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "ivcore.run"]
    environment = os.environ | {"IVCORE_ROOT": str(book.root), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", *launcher, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, cwd=book.root, **pipes)


def checkpoint(folder: Path) -> int:
    return max((int(each.stem[5:]) for each in (folder / "checkpoints").glob("step-*.json")), default=0)


def with_training(book, todo: str) -> list[Path]:
    """A notebook that trains, and the folders of its preset's two runs. `todo` is what it does at its steps, and may change meanwhile."""
    (book.root / "todo.txt").write_text(todo)
    book.notebook("10_stage", "## Training", TRAINS.format(todo=str(book.root / "todo.txt")), ENDS)
    book.preset("10_stage", "sweep", "grid:\n  lr: [0.01, 0.001]\n")
    return [job.folder for job in run.jobs("10", "sweep")]


def test_one_rank_fails_and_then_both_go_on(book, torchrun):
    folder, second = with_training(book, "fail")
    process = torchrun("10", "sweep")
    _, said = process.communicate(timeout=500)
    assert process.returncode != 0
    assert "rank 1: failed in cell 4 (Training): RuntimeError: only on rank 1" in said
    error = read(folder / "error.json")  # of the rank that failed, not of the one that lost its connection
    assert (error["rank"], error["message"], error["status"]) == (1, "only on rank 1", 1)
    assert "only on rank 1" in (folder / "notebook-rank1.ipynb").read_text()
    assert run_folder.state(folder) == "failed" and not second.exists()  # the sweep ends
    failed_at = checkpoint(folder)
    assert failed_at > 0

    with_training(book, "go on")
    process = torchrun("10", "sweep")
    shown, said = process.communicate(timeout=500)
    assert process.returncode == 0, said[-3000:]
    for path, resumed in ((folder, failed_at), (second, 0)):  # two groups, one after the other
        metrics = read(path / "metrics.json")
        assert metrics["resumed"] == resumed and metrics["ranks"] == "[0, 1]"
        assert read(path / "facts.json") == {"rank": 0} and read(path / "env.json")["ranks"] == 2
        assert [each.name for each in (path / "figures").iterdir()] == ["drawn_by_0.png"]
        assert "rank 0 trained" in (path / "log.txt").read_text()
        assert "rank 1 trained" in (path / "log-rank1.txt").read_text()
        assert not [*path.glob("error*"), *path.glob("notebook-rank*"), *path.glob("*.tmp"), *path.glob(".lock-*")]
        assert checkpoint(path) == 40 and not lock.is_held(path)
    assert shown.count("rank 0 trained") == 2 and "rank 1 trained" not in shown


def test_both_stop_with_a_checkpoint_when_torchrun_is_told_to(book, torchrun):
    folder, second = with_training(book, "wait")
    process = torchrun("10", "sweep")
    deadline = time.monotonic() + 400
    while checkpoint(folder) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=100)
    assert process.returncode != 0
    error = read(folder / "error.json")
    assert error["kind"] == "terminated" and run_folder.state(folder) == "failed"
    assert 2 <= checkpoint(folder) < 40 and not second.exists()


@pytest.fixture
def rank_1(monkeypatch):
    told = {"WORLD_SIZE": "2", "RANK": "1", "TORCHELASTIC_RUN_ID": "a", "MASTER_ADDR": "b", "MASTER_PORT": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)


def test_another_rank_skips_what_is_done(book, rank_1, capfd):
    book.notebook("10_stage")
    folder = run.jobs("10")[0].folder
    folder.mkdir(parents=True)
    files.write_json(folder / "metrics.json", {"notebook": "10_stage", "preset": "tiny"})
    assert book.iv("run", "10") == 0
    assert capfd.readouterr().out == ""
    assert [each.name for each in folder.iterdir()] == ["metrics.json"]


# What rank 0 makes of a rank 1 that did not say why, or only that it was told to stop: {then} is what rank 1 left behind.
INTERRUPTED = """\
import json
{then}
raise KeyboardInterrupt("stopped by SIGINT at step 2")"""


@pytest.mark.parametrize(
    "then, kind, rank, says",
    [
        (
            "(run.dir / 'error-rank1.json').write_text(json.dumps({'rank': 1, 'kind': 'terminated', 'message': '', 'follows': False}))",
            "terminated",
            1,
            "iv: rank 1: {kind}",
        ),
        (
            "(run.dir / '.lock-rank1').mkdir()  # not there any more\n(run.dir / '.lock-rank1/.lock').touch()",
            "dead rank",
            1,
            "iv: rank 1: {kind}",
        ),
        (
            "(run.dir / 'error-rank1.json').write_text(json.dumps({'rank': 1, 'kind': 'failed', 'message': 'x', 'follows': True}))",
            "interrupted",
            None,
            "iv: interrupted in cell",
        ),
    ],
    ids=["told to stop", "killed", "follows"],
)
def test_rank_0_names_the_rank_that_was_first(book, rank_1, monkeypatch, capfd, then, kind, rank, says):
    monkeypatch.setenv("RANK", "0")
    book.notebook("10_stage", INTERRUPTED.format(then=then))
    stale = run.jobs("10")[0].folder / ".lock-rank1/.lock"  # of an earlier launch
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert book.iv("run", "10") == 130
    error = read(book.folder("10_stage") / "error.json")
    assert error["kind"] == kind and error.get("rank") == rank
    assert says.format(kind=kind) in capfd.readouterr().err


def test_rank_1_tells_of_a_rank_0_that_was_killed(book, rank_1, capfd):
    """Rank 0 is a process of its own, which the notebook kills."""
    holds = "import sys, time; from pathlib import Path; from ivcore import lock; from ivcore.run import launch\nfolder = Path(sys.argv[1])\n"
    holds += "lock.acquire(folder); launch.announce(folder); print(1, flush=True); time.sleep(600)"
    book.notebook(
        "10_stage",
        "import os, time\nos.kill(int(open('first.txt').read()), 9)\ntime.sleep(0.5)\nraise RuntimeError('gloo: Connection closed by peer')",
    )
    folder = run.jobs("10")[0].folder
    folder.mkdir(parents=True)
    environment = os.environ | {"RANK": "0"}
    words = [sys.executable, "-c", holds, folder]
    first = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline()
    (book.root / "first.txt").write_text(str(first.pid))
    assert book.iv("run", "10") == 1
    first.communicate()
    assert read(folder / "error.json")["message"] == "rank 0 is gone without a word"
    assert read(folder / "error-rank1.json")["follows"] is True
    assert capfd.readouterr().err.startswith("iv: rank 0: dead rank: rank 0 is gone without a word; see ")


def test_what_another_launch_announced_means_nothing(tmp_path, rank_1, monkeypatch):
    monkeypatch.setattr(launch, "_PATIENCE", 0.3)

    def is_joined() -> bool:
        try:
            return launch.join(tmp_path, lambda: False) is not None
        except UserError as error:
            assert "rank 1 has waited" in str(error)
            return False

    lock.acquire(tmp_path)
    launch.announce(tmp_path)
    assert is_joined() and not is_joined()  # once a run
    launch.announce(tmp_path)
    monkeypatch.setenv("MASTER_PORT", "2")
    assert not is_joined()
    monkeypatch.setenv("MASTER_PORT", "1")
    lock.release(tmp_path)
    assert not is_joined()  # who announced it is gone
    lock.acquire(tmp_path)
    assert is_joined()
    with launch.retracted(tmp_path):
        pass
    lock.release(tmp_path)
    assert launch.join(tmp_path, lambda: True) is None
