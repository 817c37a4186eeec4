"""A run killed with SIGKILL at ten random moments and resumed ends with the same weights, bit for bit, as one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ivcore.train.log import Log

SCRIPT = Path(__file__).with_name("killed_training.py")
KILLS = 10


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """start(folder, seconds between checkpoints) -> (pid, function that waits for it and returns its exit code)."""
    log = tmp_path_factory.mktemp("trainer") / "stderr.txt"
    with open(log, "w") as errors:
        process = subprocess.Popen(
            [sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )

    def start(folder, seconds):
        process.stdin.write(f"{folder} {seconds}\n")
        process.stdin.flush()
        pid = int(process.stdout.readline() or pytest.fail(log.read_text()))
        return pid, lambda: int(process.stdout.readline())

    yield start
    process.kill()
    process.wait()


def newest(folder):
    marks = [int(mark.stem[5:]) for mark in folder.glob("checkpoints/step-*.json")]
    return max(marks, default=0)


def losses(folder):
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "resumed_from" not in line]
    return [(line["step"], line["loss"], line["noise"], line["grad_norm"], line["lr"]) for line in lines]


def test_killed_ten_times_and_resumed_is_the_same_run(trainer, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert trainer(whole, 600)[1]() == 0
    steps = losses(whole)[-1][0]
    resumed_at = []
    for kill in range(KILLS):
        pid, wait = trainer(killed, random.choice((0, 0.02, 0.05)))
        goal = newest(killed) if kill == 0 else resumed_at[-1] + 1
        deadline = time.monotonic() + 30
        while newest(killed) < goal and time.monotonic() < deadline:  # each attempt gets somewhere
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.06))  # then dies anywhere: in a step, or in the middle of a checkpoint
        os.kill(pid, signal.SIGKILL)
        assert wait() == -signal.SIGKILL, "finished before it could be killed"
        resumed_at.append(newest(killed))
    assert trainer(killed, 0.05)[1]() == 0

    assert 0 < resumed_at[-1] < steps
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert losses(killed) == losses(whole)
    assert not list(killed.rglob("*.tmp"))


def test_what_a_killed_process_left_of_the_log_is_cleared_away(tmp_path):
    (tmp_path / ".train.jsonl.4711.tmp").write_text('{"step"')
    (tmp_path / ".other.jsonl.4711.tmp").write_text("of another file")
    Log(tmp_path / "train.jsonl").close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [".other.jsonl.4711.tmp", "train.jsonl"]
