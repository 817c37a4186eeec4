"""Disks that are full or cannot be written: one line, no trace of an attempt in the wrong place, and results that stay readable."""

import subprocess

import pytest
from workbook import FINISH, Workbook, read

from ivcore import files
from ivcore.run import execute as run
from ivcore.run import folder as run_folder

ONE_LINE = "iv: disk"


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage", FINISH)
    return made


@pytest.fixture
def disk(tmp_path):
    """disk("size=64k") mounts a small disk, disk("remount,ro") changes it; where nothing may be mounted the test is left out."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip("disks cannot be mounted here")
        return place

    yield mount
    subprocess.run(["umount", "-l", place], capture_output=True)


def said(capfd) -> str:
    """The one line on the terminal."""
    line = capfd.readouterr().err
    assert line.count("\n") == 1 and line.startswith(ONE_LINE), line
    return line


@pytest.mark.parametrize("place", ["{root}/file", "{root}/file/below", "/proc/nope", "/dev/null/x"])
def test_a_place_for_no_outputs_costs_one_line_and_no_kernel(book, monkeypatch, capfd, place):
    (book.root / "file").touch()
    place = place.format(root=book.root)
    monkeypatch.setenv("IVCORE_OUTPUTS", place)
    assert book.iv("run", "10") == 1
    assert place in said(capfd)
    assert book.iv("report") == 1
    assert place in said(capfd)
    assert book.iv("list") == book.iv("board") == 0
    assert sorted(path.name for path in book.root.iterdir()) == ["file", "notebooks"]


def test_a_name_longer_than_any_files_costs_one_line(book, monkeypatch, capfd):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(book.root / ("x" * 300)))
    for command in (("run", "10"), ("report",), ("board",)):
        assert book.iv(*command) in (1, 2)
        assert capfd.readouterr().err.count("\n") == 1


def test_a_finished_run_on_a_read_only_disk_is_done(book, disk, monkeypatch, capfd):
    outputs = disk("size=1M")
    monkeypatch.setenv("IVCORE_OUTPUTS", str(outputs))
    job = run.jobs("10")[0]
    run_folder.write_params(job.folder, job.values)
    files.write_json(job.folder / "metrics.json", {"notebook": "10_stage", "preset": "tiny", "loss": 0.5})
    disk("remount,ro")
    assert book.iv("run", "10") == 0
    assert "is done" in capfd.readouterr().out
    assert book.iv("list") == 0 and book.iv("board") == 0
    shown = capfd.readouterr()
    assert "0.5" in shown.out and "Traceback" not in shown.err
    assert book.iv("report", "-o", str(book.root / "page.html")) == 0
    assert (book.root / "page.html").is_file()
    capfd.readouterr()
    for refused in (("run", "10", "--force"), ("run", "10", "-p", "seed=1"), ("report",)):
        assert book.iv(*refused) == 1
        assert "Read-only file system" in said(capfd)
    assert run_folder.is_done(job.folder)


FILLS = """\
with open(run.dir / "large", "wb") as file:
    while True:
        file.write(bytes(4096))
        file.flush()"""


def test_a_disk_that_fills_up_is_named_and_the_next_start_goes_on(book, disk, monkeypatch, capfd):
    outputs = disk("size=200k")
    monkeypatch.setenv("IVCORE_OUTPUTS", str(outputs))
    todo = book.root / "todo.txt"
    todo.write_text(FILLS)
    book.notebook("10_stage", f"exec(open({str(todo)!r}).read())", FINISH)
    assert book.iv("run", "10") == 1
    shown = capfd.readouterr().err
    assert "iv: disk in cell 3" in shown and "No space left" in shown and "Traceback" not in shown
    folder = run.jobs("10")[0].folder
    assert not run_folder.is_done(folder) and not list(folder.glob("*.tmp"))
    todo.write_text("")
    (folder / "large").unlink()
    assert book.iv("run", "10") == 0 and read(folder / "metrics.json")["loss"] == 0.9


def test_a_disk_without_room_for_anything(book, disk, monkeypatch, capfd):
    outputs = disk("size=16k,nr_inodes=8")
    monkeypatch.setenv("IVCORE_OUTPUTS", str(outputs))
    (outputs / "filler").write_bytes(bytes(16384))
    assert book.iv("run", "10") == 1
    shown = capfd.readouterr().err
    assert "No space left" in shown and "Traceback" not in shown
    assert not list(outputs.rglob("*.tmp"))
