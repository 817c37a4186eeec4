"""Terminals that are closed, full, gone in the middle or without UTF-8: a run goes on, and other commands say what they can."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from workbook import FINISH, Workbook

from ivcore.run import folder as run_folder

ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
NO_ASCII = "import os\nprint('é → 漢')\nrun.write_json('stdout', os.path.realpath('/proc/self/fd/1'))"


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage", "## Œuvre", NO_ASCII, FINISH)
    return made


def shell(book, command: str, **changed) -> subprocess.CompletedProcess:
    """`iv` is the command under test; the exit status is its own."""
    environment = os.environ | {"IVCORE_ROOT": str(book.root), "IV": f"{sys.executable} -m ivcore.run.cli"} | changed
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    words = ["bash", "-c", f"set -o pipefail; {command}"]
    return subprocess.run(words, env=environment, cwd=book.root, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    "command, changed",
    [("$IV run 10 | head -1", ASCII), ("$IV run 10 >&- 2>&- <&-", {}), ("$IV run 10 > /dev/full 2>&1", ASCII)],
    ids=["reader leaves", "closed", "full"],
)
def test_a_run_outlives_its_terminal(book, command, changed):
    done = shell(book, command, **changed)
    assert done.returncode == 0, done
    folder = book.folder("10_stage")
    assert run_folder.is_done(folder)
    log = (folder / "log.txt").read_text(encoding="utf-8")
    assert "── Œuvre" in log and "é → 漢" in log and "done in" in log
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr


def test_the_other_commands_too(book):
    for command in ("list", "board", "params 10", "run 10 --dry", "doctor", "run --help"):
        done = shell(book, f"$IV {command}", **ASCII)
        assert done.returncode == 0 and done.stdout and not done.stderr, (command, done)
    done = shell(book, "$IV list | head -0")
    assert done.returncode == 0 and not done.stderr
    done = shell(book, "$IV list > /dev/full")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"No space left" in done.stderr


def test_a_run_under_nohup_outlives_the_terminals_end(book):
    book.notebook("10_stage", "import time\nrun.write_json('kernel', 1)\ntime.sleep(1.5)", FINISH)
    nohup = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    process = book.process("ivcore.run", "10", **nohup)
    while not list(book.root.glob("outputs/*/*/kernel.json")):
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0 and run_folder.is_done(book.folder("10_stage"))
