"""What is said of a run that did not finish: kind, exit status and hint, each for its own cause."""

import errno
from dataclasses import replace

import pytest

from ivcore.run import failure
from ivcore.run.failure import Failure

CELL = {"index": 4, "name": "Training"}
TRACE = ["Traceback (most recent call last)", "  somewhere", "and more"]


@pytest.mark.parametrize(
    "exception, message, kind, hint",
    [
        (
            "OutOfMemoryError",
            "CUDA out of memory. Tried to allocate 2 GiB",
            "failed",
            "on the device: lower micro_batch or",
        ),
        ("MemoryError", "", "failed", "out of memory: lower num_workers or"),
        ("RuntimeError", "DataLoader worker (pid 7) is killed by signal: Killed. ", "failed", "out of memory"),
        ("RuntimeError", "DataLoader worker (pid 7) is killed by signal: Bus error. ", "failed", "--shm-size"),
        ("RuntimeError", "DataLoader worker (pid 7) is killed by signal: Aborted. ", "failed", "iv check"),
        ("RuntimeError", "unable to write to file </torch_17_2>: No space left", "failed", "--shm-size"),
        ("RuntimeError", "unable to mmap 8 bytes from file </torch_1>: Cannot allocate memory", "failed", "shm"),
        ("ValueError", "a shape", "failed", ""),
        ("CellExecutionError", "", "failed", "want of memory"),
        ("OSError", "[Errno 28] No space left on device: '/data/x'", "disk", "free some space"),
        ("SafetensorError", "I/O error: No space left on device (os error 28)", "disk", "IVCORE_OUTPUTS"),
        ("RuntimeError", "[enforce fail] PytorchStreamWriter failed writing file data/0", "disk", "free some"),
        ("PermissionError", "[Errno 13] Permission denied: '/cache/x'", "disk", "IVCORE_CACHE"),
        ("KeyboardInterrupt", "stopped by SIGINT at step 3", "interrupted", "resumes"),
    ],
)
def test_a_cell_that_raised(exception, message, kind, hint):
    found = failure.from_cell(exception, message, TRACE, CELL)
    assert found.kind == kind and hint in found.hint and bool(found.hint) == bool(hint)
    assert kind != "disk" or (len(found.lines()) == 1 and message in found.lines()[0])


def test_want_of_memory_names_parameters_of_the_run_that_can_be_lowered():
    values = {"micro_batch": 8, "num_workers": 4, "activation_checkpointing": "full", "lr": 0.1}
    memory = failure.less_memory(values)
    assert failure.Failure("failed", "OutOfMemoryError", "CUDA out of memory", memory=memory).hint == (
        "out of memory on the device: lower micro_batch (now 8)"
    )
    assert failure.dead_kernel(-9, CELL).hint.endswith(
        "want of memory: lower num_workers or in_memory=false or lower micro_batch or raise grad_accum_steps"
    )
    killed = replace(failure.dead_kernel(-9, CELL), memory=memory)
    assert killed.hint.endswith(": lower num_workers (now 4) or lower micro_batch (now 8)")
    assert "smaller model" in failure.less_memory({"num_workers": 0})["host"]


def test_training_that_was_told_to_stop_is_no_error_of_input():
    line = "stopped by SIGTERM at step 3 of 40, checkpoint written"
    found = failure.from_cell("Interrupted", line, [f"Interrupted: {line}"], CELL)
    assert (found.kind, found.status) == ("terminated", 143)
    assert failure.from_cell("VideoError", line, [f"VideoError: {line}"], CELL).status == 2


@pytest.mark.parametrize(
    "code, cell, status, says, hint",
    [
        (-9, CELL, 137, "killed by SIGKILL", "want of memory"),
        (-11, CELL, 139, "killed by SIGSEGV", "a library crashed"),
        (-6, CELL, 134, "killed by SIGABRT", "a library crashed"),
        (-7, CELL, 135, "killed by SIGBUS", "--shm-size"),
        (-15, CELL, 143, "the kernel got SIGTERM", "resumes"),
        (3, CELL, 1, "exit status 3", "ended the process"),
        (3, None, 1, "exit status 3, before its first cell", "ipykernel_launcher"),
        (None, None, 1, "did not answer, before its first cell", "ipykernel_launcher"),
    ],
)
def test_a_kernel_that_died(code, cell, status, says, hint):
    found = failure.dead_kernel(code, cell)
    assert found.status == status and says in found.message and hint in found.hint
    assert ("memory" in found.hint) == (code == -9)
    assert found.as_json(1)["code"] == code


def test_what_the_system_refused_is_one_line_with_its_path():
    found = failure.from_system(OSError(errno.EROFS, "Read-only file system", "/data/out\nputs"))
    assert found.lines() == [f"disk: /data/out puts: Read-only file system; {found.hint}"]
    assert "IVCORE_OUTPUTS" in found.hint and "space" not in found.hint
    assert "free some space" in failure.from_system(OSError(errno.ENOSPC, "No space left on device", "x")).hint
    assert failure.from_system(OSError(errno.EMFILE, "Too many open files")).kind == "error"


def test_every_kind_has_an_exit_status():
    assert all(Failure(kind).status == status for kind, status in failure.STATUS.items())
