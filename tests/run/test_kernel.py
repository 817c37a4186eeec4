"""Kernels of `iv run`: which Python they are, what they print, how they are told to stop and how they end."""

import fcntl
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workbook import FINISH, Workbook, gone, only_error, read, started

from ivcore.run import folder as run_folder
from ivcore.run import kernel_process
from ivcore.run.kernel import Stream
from ivcore.signals import caught_signals

MEGABYTES = 10 * 2**20


@pytest.fixture
def book(tmp_path, monkeypatch):
    return Workbook(tmp_path, monkeypatch)


def logged(*texts: str) -> str:
    stream = Stream(io.StringIO(), silent=True)
    for text in texts:
        stream.write(text)
    return stream.log.getvalue()


@pytest.mark.parametrize(
    "text, log",
    [
        ("x" * MEGABYTES + "\n", "x" * MEGABYTES + "\n"),
        ("\r" * MEGABYTES, ""),
        ("x\r" * MEGABYTES + "\n", "x\n"),  # the end of the line is no redrawing
        ("ab\r\ncd\n", "ab\ncd\n"),
        ("10 %\r20 %\rdone\nnext", "done\nnext"),
    ],
    ids=["one line", "returns", "a bar", "windows", "short"],
)
def test_the_log_has_each_line_as_it_looks_in_the_end(text, log):
    is_right = logged(text) == log
    assert is_right


PRINTS = f"""\
import os, sys
print("x" * {MEGABYTES})
print("10 %\\r20 %\\rdone")
print("half a pair: \\ud800", file=sys.stderr)
_ = run.write_json("kernel", sys.executable)"""


def test_long_lines_damaged_text_and_braces_beside_another_python(book, monkeypatch, capfd):
    """A kernelspec called python3 starts another Python, as modules on clusters have it; the names would be evaluated by papermill."""
    spec = book.root / "jupyter/kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["/bin/false", "{connection_file}"], "display_name": "x", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(book.root / "jupyter"))
    monkeypatch.setenv("IVCORE_OUTPUTS", str(book.root / "bra{ce} {0} {run_dir.__class__}"))
    book.notebook("10_stage", PRINTS, "print(1)\nprint(2, file=sys.stderr)\nprint(3, flush=True)", FINISH)
    book.preset("10_stage", "x{lr}", "mask_ratio: 0.5\n")
    status = book.iv("run", "10", "x{lr}")
    capfd.readouterr()  # megabytes
    assert status == 0
    (folder,) = book.root.glob("bra*/10_stage/*")
    assert folder.name.startswith("x{lr}-") and read(folder / "kernel.json") == sys.executable
    is_logged = "x" * MEGABYTES + "\ndone\n" in (folder / "log.txt").read_text()
    first, second = read(folder / "notebook.ipynb")["cells"][-3:-1]
    said = {each["name"]: "".join(each["text"]) for each in first["outputs"]}
    is_kept = said == {"stdout": "x" * MEGABYTES + "\ndone\n", "stderr": "half a pair: ?\n"}
    assert is_logged and is_kept  # or pytest would show what differs
    assert {each["name"]: "".join(each["text"]) for each in second["outputs"]} == {"stdout": "1\n3\n", "stderr": "2\n"}


def at_start(book, monkeypatch, text: str) -> None:
    """Python code that kernels run before anything else."""
    file = book.root / "site/sitecustomize.py"
    file.parent.mkdir()
    file.write_text(f"import os, sys, time\nif 'ipykernel_launcher' in sys.orig_argv:\n    {text}\n")
    monkeypatch.setenv("PYTHONPATH", f"{file.parent}:{Path(__file__).parent.parent}")


@pytest.mark.parametrize(
    "dies, status, says",
    [
        ("os._exit(3)", 1, "ended by itself with exit status 3, before its first cell"),
        ("os.kill(os.getpid(), 11)", 139, "killed by SIGSEGV, before its first cell"),
    ],
)
def test_a_kernel_that_never_answers_is_no_want_of_memory(book, monkeypatch, capfd, dies, status, says):
    at_start(book, monkeypatch, dies)
    book.notebook("10_stage", FINISH)
    assert book.iv("run", "10") == status
    error = only_error(book)
    assert error["kind"] == "dead kernel" and error["status"] == status
    assert "memory" not in error["hint"] and "ipykernel_launcher" in error["hint"]
    assert says in capfd.readouterr().err


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_told_to_stop_before_the_first_cell_runs_none(book, monkeypatch, number, status):
    at_start(book, monkeypatch, "time.sleep(3)")
    book.notebook("10_stage", FINISH)
    process = book.process("ivcore.run", "10")
    assert "→" in process.stdout.readline()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status and "Traceback" not in said
    assert only_error(book)["cell"] is None
    assert not (book.folder("10_stage") / "env.json").exists()  # the setup cell's


LINGERS = "import os, time\nrun.finish({'loss': 1})\nrun.write_json('kernel', os.getpid())\ntime.sleep(600)"


@pytest.mark.parametrize("preset, status", [("tiny", 0), ("sweep", 143)])
def test_a_result_that_is_there_when_the_run_is_told_to_stop_stays(book, preset, status):
    """And what was to come after it in a sweep does not begin."""
    book.notebook("10_stage", LINGERS)
    book.preset("10_stage", "sweep", "grid:\n  lr: [0.001, 0.002]\n")
    process = started(book, preset)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    folder = book.folder("10_stage")
    assert process.returncode == status and run_folder.is_done(folder), said
    assert not (folder / "error.json").exists() and gone(read(folder / "kernel.json"))


SLOW = """\
import os, time
from ivcore.signals import caught_signals
with caught_signals() as caught:
    run.write_json('kernel', os.getpid())
    while not caught:
        time.sleep(0.05)
    time.sleep(5)  # a large checkpoint
    run.write_json('checkpoint', 1)
raise KeyboardInterrupt('stopped')
"""


def test_a_checkpoint_that_takes_long_is_not_interrupted_again(book):
    book.notebook("10_stage", SLOW, FINISH)
    process = started(book)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130 and only_error(book)["kind"] == "interrupted"
    assert (book.folder("10_stage") / "checkpoint.json").exists()


def test_a_kernel_takes_one_interrupt_from_its_runner(monkeypatch):
    monkeypatch.setenv("IVCORE_RUN_DIR", "somewhere")
    before = signal.getsignal(signal.SIGINT)
    with caught_signals() as caught:
        assert kernel_process._listens(os.getpid(), signal.SIGINT)
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        assert caught == [signal.SIGINT] and not kernel_process._listens(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
    monkeypatch.delenv("IVCORE_RUN_DIR")
    with pytest.raises(KeyboardInterrupt), caught_signals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "number, status, kind", [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_to_the_kernel_alone_is_called_by_its_name(book, number, status, kind, capfd):
    book.notebook("10_stage", f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(60)", FINISH)
    assert book.iv("run", "10") == status
    assert only_error(book)["kind"] == kind
    assert f"iv: {kind} in cell" in capfd.readouterr().err


def test_what_killed_runs_left_in_tmp_is_cleared_and_nothing_else(tmp_path):
    names = ("iv-dead", "iv-young", "iv-held", "iv-unknown", "other")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "kernel.json").touch()
        (tmp_path / name / ".lock").touch()
    (tmp_path / "iv-unknown/.lock").unlink()
    (tmp_path / "target").mkdir()
    (tmp_path / "target/.lock").touch()
    (tmp_path / "iv-link").symlink_to(tmp_path / "target")
    for mark in tmp_path.glob("*/.lock"):
        if mark.parent.name != "iv-young":
            os.utime(mark, (time.time() - 3600,) * 2)
    holds = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)"
    other = subprocess.Popen(
        [sys.executable, "-c", holds, tmp_path / "iv-held/.lock"], stdout=subprocess.PIPE, text=True
    )
    other.stdout.readline()
    kernel_process.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*names, "target", "iv-link"} - {"iv-dead"})
    assert (tmp_path / "target/.lock").exists()
    other.kill()
    other.communicate()
    kernel_process.clear(tmp_path)
    assert not (tmp_path / "iv-held").exists()


def test_sockets_lie_in_a_folder_that_is_held_while_it_is_used():
    with kernel_process.folder_for_sockets() as folder, pytest.raises(BlockingIOError):
        fcntl.flock(os.open(folder / ".lock", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert folder.name.startswith("iv-") and not folder.exists()
