"""Two ranks run one notebook under torchrun, on one node or on two: one of them fails or hangs, both are stopped, both go on, and rank 0
alone writes."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from rank_processes import free_port
from workbook import Workbook, read

from ivcore import lock
from ivcore.run import execute as run
from ivcore.run import folder as run_folder

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
    if where == (1, "hang") and list(run.checkpoints.glob("step-*3.json")):
        time.sleep(600)
    time.sleep(0.3 if todo.read_text() == "wait" else 0)
    return model(batch["x"]).square().mean(), {{}}

torch.manual_seed(seed)
batches = Batches(InMemory(x=torch.randn(16, 4)), 4, seed)
recipe = Recipe(batch_size=4, steps=40, lr=lr, checkpoint_seconds={seconds})
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
    """torchrun("10", "sweep") starts two ranks; what they print comes together. `node` of two: one of them alone.

    Each has temporary files of its own: one that sees no locks takes what others have there for left behind, and clears it away.
    """
    started, folders = [], []

    def start(*arguments, **more):
        folders.append(tempfile.TemporaryDirectory(prefix="node-", ignore_cleanup_errors=True))
        started.append(launched(book, *arguments, TMPDIR=folders[-1].name, **more))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()  # it ends its ranks, and they their kernels
            process.communicate(timeout=60)
    for folder in folders:
        folder.cleanup()


def launched(book, *arguments, node: str = "", **variables) -> subprocess.Popen:
    where = ["--standalone", "--nproc-per-node", "2"]
    if node:
        where = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "1"]
        where += ["--local-addr", "127.0.0.1", "--rdzv-endpoint", node]
    launcher = ["torch.distributed.run", *where, "-m", "ivcore.run"]
    environment = os.environ | {"IVCORE_ROOT": str(book.root), "OMP_NUM_THREADS": "1"} | variables
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), str(book.root / "blind")])
    command = [sys.executable, "-m", *launcher, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, cwd=book.root, **pipes)


def blind(book) -> None:
    """From now on nobody sees a lock that another process holds, as on a disk that does not show them to other nodes."""
    (book.root / "blind").mkdir()
    (book.root / "blind/sitecustomize.py").write_text("import fcntl\nfcntl.flock = lambda *_: None\n")


def checkpoint(folder: Path) -> int:
    return max((int(each.stem[5:]) for each in (folder / "checkpoints").glob("step-*.json")), default=0)


def with_training(book, todo: str, seconds: float = 0.001) -> list[Path]:
    """A notebook that trains, and the folders of its preset's two runs. `todo` is what it does at its steps, and may change meanwhile."""
    (book.root / "todo.txt").write_text(todo)
    book.notebook("10_stage", "## Training", TRAINS.format(todo=str(book.root / "todo.txt"), seconds=seconds), ENDS)
    book.preset("10_stage", "sweep", "grid:\n  lr: [0.01, 0.001]\n")
    return [job.folder for job in run.jobs("10", "sweep")]


def test_one_rank_fails_and_then_both_go_on_each_on_a_node_of_its_own(book, torchrun):
    folder, second = with_training(book, "fail")
    process = torchrun("10", "sweep")
    _, said = process.communicate(timeout=500)
    assert process.returncode != 0
    assert "rank 1: failed in cell 4 (Training): RuntimeError: only on rank 1" in said
    assert "iv: rank 0" not in said
    error = read(folder / "error.json")  # of the rank that failed, not of the one that lost its connection
    assert (error["rank"], error["message"], error["status"]) == (1, "only on rank 1", 1)
    assert "only on rank 1" in (folder / "notebook-rank1.ipynb").read_text()
    assert run_folder.state(folder) == "failed" and not second.exists()  # the sweep ends
    failed_at = checkpoint(folder)
    assert failed_at > 0

    with_training(book, "go on")
    blind(book)
    node = f"127.0.0.1:{free_port()}"
    first, other = (torchrun("10", "sweep", node=node) for _ in range(2))
    both = [process.communicate(timeout=500) for process in (first, other)]
    assert (first.returncode, other.returncode) == (0, 0), both[0][1][-3000:] + both[1][1][-3000:]
    shown = both[0][0] + both[1][0]
    for path, resumed in ((folder, failed_at), (second, 0)):  # two groups, one after the other
        metrics = read(path / "metrics.json")
        assert metrics["resumed"] == resumed and metrics["ranks"] == "[0, 1]"
        assert read(path / "facts.json") == {"rank": 0} and read(path / "env.json")["ranks"] == 2
        assert [each.name for each in (path / "figures").iterdir()] == ["drawn_by_0.png"]
        assert "rank 0 trained" in (path / "log.txt").read_text()
        assert "rank 1 trained" in (path / "log-rank1.txt").read_text()
        left = ("error*", "notebook-rank*", "*.tmp", "stacks*")
        assert not [file for pattern in left for file in path.glob(pattern)]
        assert checkpoint(path) == 40 and not lock.is_held(path)
    assert shown.count("rank 0 trained") == 2 and "rank 1 trained" not in shown
    assert (
        "find_unused_parameters" not in said + shown + both[0][1] + both[1][1]
    )  # what torch warns of is how we want it


def until(condition, *processes) -> None:
    deadline = time.monotonic() + 400
    while not condition():
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes)
        time.sleep(0.05)


def test_a_checkpoint_on_request_and_another_when_torchrun_is_told_to_stop(book, torchrun):
    folder, second = with_training(book, "wait", seconds=600)
    process = torchrun("10", "sweep")
    until(lambda: "Training" in log_of(folder) and (folder / "train.jsonl").exists(), process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    time.sleep(1)  # for the first step
    os.kill(int(children[1]), signal.SIGUSR1)  # one rank is asked, all do it, and training goes on
    until(lambda: checkpoint(folder), process)
    asked_at = checkpoint(folder)
    assert 0 < asked_at < 40
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=100)
    assert process.returncode != 0
    error = read(folder / "error.json")
    assert error["kind"] == "terminated" and run_folder.state(folder) == "failed"
    assert asked_at < checkpoint(folder) < 40 and not second.exists()


def log_of(folder: Path) -> str:
    return (folder / "log.txt").read_text() if (folder / "log.txt").exists() else ""


def test_a_rank_that_hangs_is_named_with_its_line_and_every_ranks_stack(book, torchrun):
    folder, _ = with_training(book, "hang")
    process = torchrun("10", "sweep", IVCORE_TIMEOUT="8")
    _, said = process.communicate(timeout=500)
    assert process.returncode != 0
    error = read(folder / "error.json")
    assert (error["kind"], error["rank"]) == ("hung rank", 1), (error, said[-2000:])
    assert error["cell"] == {"index": 4, "name": "Training"}
    line = next(n for n, text in enumerate(TRAINS.splitlines(), 1) if "sleep(600)" in text)
    assert f"waited for it in vain for 8 s; it is at line {line}" in error["message"]
    assert "iv: rank 1: hung rank in cell 4 (Training)" in said
    assert "in loss" in (folder / "stacks-rank1.txt").read_text()
    assert checkpoint(folder) > 0
