"""The runner on throw-away notebooks: what a run leaves behind when it succeeds, fails, is killed, stopped or resumed."""

import fcntl
import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from folder_contents import contents_and_times
from workbook import FINISH, Workbook, as_notebook, gone, only_error, read, started

from ivcore import lock, paths
from ivcore.errors import ParameterError, UserError
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run import start
from ivcore.run.spec import Spec
from ivcore.train.checkpoints import Checkpoints


@pytest.fixture
def book(tmp_path, monkeypatch):
    return Workbook(tmp_path, monkeypatch)


FIGURE = "import matplotlib.pyplot as plt\nfig, axes = plt.subplots()\naxes.plot([1, 2])\nrun.figure(fig, 'line', alt='A line')"


def test_a_run_leaves_its_folder_and_is_then_skipped(book, capfd):
    book.notebook("10_stage", "## Work", "print('hidden', mask_ratio, run.headless, run.seed)", FIGURE, FINISH)
    book.preset("10_stage", "quick", "mask_ratio: 0.5\n")
    assert book.iv("run", "10", "quick", "-p", "seed=3") == 0
    folder = book.folder("10_stage")
    assert folder.name.startswith("quick+-")
    metrics = read(folder / "metrics.json")
    assert metrics.pop("wall_seconds") >= 0
    assert metrics == {"loss": 0.5, "notebook": "10_stage", "preset": "quick+"}
    assert run_folder.read_params(folder)["seed"] == 3 and "run_dir" not in run_folder.read_params(folder)
    environment = read(folder / "env.json")
    assert environment["versions"]["torch"] and environment["device"].startswith("cpu")
    assert (folder / "figures/line.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "error.json").exists()
    log = (folder / "log.txt").read_text()
    assert "hidden 0.5 True 3" in log and "── Work" in log
    outputs = [each for cell in read(folder / "notebook.ipynb")["cells"] for each in cell.get("outputs", [])]
    assert [each["metadata"]["image/png"]["alt"] for each in outputs if "image/png" in each.get("data", {})] == [
        "A line"
    ]

    capfd.readouterr()
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert book.iv("run", "10", "quick", "-p", "seed=3") == 0
    assert "is done" in capfd.readouterr().out
    assert written == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert not (folder / "notebook.1.ipynb").exists()


# Fails until a checkpoint of an earlier attempt is there, and then finishes.
RESUMES = """\
step = run.checkpoints / "step.txt"
resumed = step.exists()
step.write_text("1")
assert resumed, "first attempt"
run.finish({"resumed": resumed})
"""


def test_a_failing_cell_then_resume_then_force(book, capfd):
    book.notebook("10_stage", "## Training", RESUMES)
    assert book.iv("run", "10") == 1
    error = only_error(book)
    assert (error["kind"], error["exception"], error["message"]) == ("failed", "AssertionError", "first attempt")
    assert error["cell"] == {"index": 4, "name": "Training"} and error["status"] == 1
    assert any('assert resumed, "first attempt"' in line for line in error["traceback"])
    said = capfd.readouterr().err
    assert "failed in cell 4 (Training): AssertionError: first attempt" in said and "error.json" in said

    assert book.iv("run", "10") == 0  # the same folder, its checkpoint, the earlier notebook kept
    folder = book.folder("10_stage")
    assert read(folder / "metrics.json")["resumed"] is True
    assert (folder / "notebook.1.ipynb").exists() and not (folder / "error.json").exists()

    assert book.iv("run", "10", "--force") == 1  # afresh: the checkpoint is set aside
    assert only_error(book)["message"] == "first attempt"
    assert (folder / "previous/metrics.json").exists() and (folder / "previous/checkpoints/step.txt").exists()
    assert (folder / "notebook.2.ipynb").exists()


def test_a_killed_kernel_takes_its_children_with_it(book, capfd):
    dies = "import os, subprocess\nchild = subprocess.Popen(['sleep', '600'])\nrun.write_json('child', child.pid)\nos.kill(os.getpid(), 9)"
    book.notebook("10_stage", "## Work", dies, FINISH)
    assert book.iv("run", "10") == 137
    error = only_error(book)
    assert error["kind"] == "dead kernel" and error["cell"]["index"] == 4 and "want of memory" in error["hint"]
    assert gone(read(book.folder("10_stage") / "child.json"))
    assert "dead kernel in cell 4 (Work)" in capfd.readouterr().err


def test_leaving_early_is_not_success(book, capfd):
    book.notebook("10_stage", "import sys\nsys.exit()", FINISH)
    assert book.iv("run", "10") == 1
    assert only_error(book)["kind"] == "unfinished"
    assert "run.finish" in capfd.readouterr().err


def test_a_time_out_ends_the_kernel(book):
    book.notebook("10_stage", "import os, time\nrun.write_json('kernel', os.getpid())", "time.sleep(600)", FINISH)
    assert book.iv("run", "10", "--timeout", "5") == 124
    assert only_error(book)["kind"] == "time-out"
    told = (
        book.folder("10_stage") / "kernel.json"
    )  # not there where a busy machine needs five seconds to start a kernel
    assert not told.exists() or gone(read(told))


@pytest.mark.parametrize(
    "number, status, kind", [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_ends_the_run_and_its_kernel(book, number, status, kind):
    waits = "import os, time\nrun.write_json('kernel', os.getpid())\ntime.sleep(600)"
    book.notebook("10_stage", waits, FINISH)
    process = started(book)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == status
    error = only_error(book)
    assert error["kind"] == kind and error["cell"]["index"] == 3
    assert kind in said and "Traceback" not in said
    assert gone(read(book.folder("10_stage") / "kernel.json"))


# Notices the interrupt, as training does to write a last checkpoint, and then even finishes.
STUBBORN = """\
import os, time
try:
    run.write_json('kernel', os.getpid())
    time.sleep(600)
except KeyboardInterrupt:
    run.write_json('checkpoint', 1)
"""


def test_a_cell_may_write_a_checkpoint_when_told_to_stop(book):
    book.notebook("10_stage", STUBBORN, FINISH)
    process = started(book)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert only_error(book)["kind"] == "terminated"  # stopped is stopped, whatever the notebook made of it
    assert (book.folder("10_stage") / "checkpoint.json").exists()


RAISES = """\
from ivcore.errors import UserError
class PictureError(UserError): pass
raise PictureError("a.mp4: no\\nvideo stream")
"""


def test_an_error_of_input_inside_a_notebook_is_one_line(book, capfd):
    book.notebook("10_stage", RAISES)
    assert book.iv("run", "10") == 2
    assert capfd.readouterr().err == "iv: a.mp4: no video stream\n"
    assert only_error(book)["kind"] == "input"
    assert "Traceback" not in (book.folder("10_stage") / "notebook.ipynb").read_text()


def test_a_notebook_edited_while_it_runs_belongs_to_the_next_run(book):
    source = book.root / "notebooks/10_stage.ipynb"
    edits = f"""
from pathlib import Path
source = Path({str(source)!r})
source.write_text(source.read_text().replace("lr: float", "rate: float"))
"""
    path = book.notebook("10_stage", FINISH)
    content = read(path)
    content["cells"].insert(2, as_notebook([edits, edits])["cells"][0] | {"id": "edits"})  # before the setup cell
    path.write_text(json.dumps(content))
    job = run.jobs("10")[0]
    assert run.execute(job) == book.folder("10_stage")
    assert run_folder.read_params(book.folder("10_stage"))["lr"] == 1e-3
    assert "rate: float" in source.read_text()


def test_two_processes_do_not_share_a_folder(book, capfd):
    book.notebook("10_stage", FINISH)
    folder = run.jobs("10")[0].folder
    folder.mkdir(parents=True)
    with open(folder / ".lock", "w") as other:
        other.write("process 1 on elsewhere")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        assert lock.is_held(folder)
        assert book.iv("run", "10") == 2
    said = capfd.readouterr().err
    assert "is in use by process 1 on elsewhere" in said and said.count("\n") == 1
    assert not (folder / "notebook.ipynb").exists() and not lock.is_held(folder)


TASK = 'encoder: str = "10/quick"  # what to start from; encoder\n'
READS = "from pathlib import Path\nrun.finish({'loss': float((run.upstream('encoder') / 'out.txt').read_text())})"


def with_task(book):
    book.notebook("10_stage", "(run.dir / 'out.txt').write_text(str(mask_ratio))", FINISH)
    book.preset("10_stage", "quick", "mask_ratio: 0.25\n")
    book.notebook("30_task", READS, parameters=TASK)


def test_an_encoder_that_is_not_there_is_run_first(book, capfd):
    with_task(book)
    assert book.iv("run", "30") == 0
    assert "10/quick is not there yet: running it first" in capfd.readouterr().out
    assert read(book.folder("30_task") / "metrics.json")["loss"] == 0.25
    assert run_folder.is_done(book.folder("10_stage"))
    assert run_folder.read_params(book.folder("30_task"))["encoder"] == paths.short(book.folder("10_stage"))


def test_an_encoder_with_other_parameters_is_run_first(book, capfd):
    with_task(book)
    book.notebook("30_task", READS, parameters=TASK.replace("10/quick", "10/quick:seed=3"))
    assert book.iv("run", "30") == 0
    assert "10/quick:seed=3 is not there yet: running it first" in capfd.readouterr().out
    assert read(book.folder("30_task") / "metrics.json")["loss"] == 0.25
    assert run_folder.read_params(book.folder("10_stage"))["seed"] == 3
    assert run.jobs("10", "quick", {"seed": "3"})[0].folder == book.folder("10_stage")


SLOW = """\
import os, time
run.write_json('kernel', os.getpid())
while not (run.dir / 'go').exists():
    time.sleep(0.05)
(run.dir / 'out.txt').write_text(str(mask_ratio))
"""


@pytest.mark.parametrize("how", ["start", "iv run"])
def test_an_encoder_that_another_process_runs_is_waited_for(book, capfd, monkeypatch, how):
    monkeypatch.setenv("IVCORE_ROOT", str(book.root))  # for the processes that are started
    with_task(book)
    book.notebook("10_stage", SLOW, FINISH)
    process = started(book, "quick")
    folder = book.folder("10_stage")
    go_on = threading.Timer(1.5, (folder / "go").touch)
    go_on.start()
    if how == "start":
        start("30_task", {"encoder": "10/quick"})
        lock.release(book.folder("30_task"))
    else:
        assert book.iv("run", "30") == 0
    assert process.wait(timeout=60) == 0 and run_folder.is_done(folder)
    said = "".join(capfd.readouterr())
    assert f"is in use by process {process.pid}" in said and "waiting for it" in said
    assert "not there yet" not in said and not list(folder.glob("notebook.1.ipynb"))


def test_papermill_alone_uses_the_same_folders_and_checks(book):
    with_task(book)
    notebook = str(book.root / "notebooks/30_task.ipynb")
    process = book.process("papermill", notebook, "out.ipynb", "--log-output")
    assert process.wait(timeout=120) == 0, process.stderr.read()[-2000:]
    assert read(book.folder("30_task") / "metrics.json")["loss"] == 0.25
    assert book.folder("30_task") == run.jobs("30")[0].folder  # what iv run would skip
    process = book.process("papermill", notebook, "out.ipynb", "-p", "encodr", "scratch")
    assert process.wait(timeout=120) == 1
    assert "encodr is not a parameter of 30_task; did you mean encoder?" in process.stderr.read()
    assert len(book.folders("30_task")) == 1


def test_a_sweep_runs_all_and_skips_what_is_done(book, capfd):
    book.notebook("10_stage", "assert mask_ratio < 0.9, 'too high'", FINISH)
    book.preset("10_stage", "sweep_ratio", "grid:\n  mask_ratio: [0.95, 0.5]\n")
    assert book.iv("run", "10", "sweep_ratio", "--dry") == 0
    said = capfd.readouterr().out
    assert "mask_ratio=0.95" in said and "mask_ratio=0.5" in said and said.count("new") == 2
    assert not book.folders("10_stage")
    assert book.iv("run", "10", "sweep_ratio") == 1  # the first fails, the second still runs
    assert {folder.name.split("-")[0] for folder in book.folders("10_stage")} == {"sweep_ratio"}
    assert sorted(run_folder.state(folder) for folder in book.folders("10_stage")) == ["done", "failed"]
    capfd.readouterr()
    book.iv("run", "10", "sweep_ratio", "--dry")
    assert "done" in capfd.readouterr().out


def test_an_override_that_changes_nothing_is_the_preset(book):
    book.notebook("10_stage")
    assert run.jobs("10", "tiny", {"lr": "0.001"}) == run.jobs("10")
    assert run.jobs("10", "tiny", {"lr": "0.002"})[0].label == "tiny+"


# What follows needs no kernel: `start` as JupyterLab calls it.


def namespace(**changed) -> dict:
    found = {name: parameter.default for name, parameter in Spec.of("10").parameters.items()}
    return found | changed


def finished(**changed):
    """A run of 10 as JupyterLab makes it: a checkpoint, a figure, metrics."""
    first = start("10_stage", namespace(**changed))
    (first.checkpoints / "weights").write_text("x")
    draw(first)
    first.finish({"loss": 1.0})
    return first


def draw(begun):
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots()
    axes.plot([1, 2])
    begun.figure(fig, "line")


def test_a_finished_run_keeps_weights_and_no_state_of_the_optimiser(book):
    book.notebook("10_stage")
    begun = start("10_stage", namespace())
    state = {"step": 2, "engine": torch.zeros(99)}
    Checkpoints(begun.checkpoints).save(2, torch.nn.Linear(2, 2), state)
    begun.finish({"loss": 1.0})
    names = sorted(file.suffixes[0] for file in begun.checkpoints.glob("step-*"))
    assert names == [".json", ".safetensors", ".shown"]


def test_a_finished_run_is_shown_and_nothing_of_it_changes(book, capfd):
    book.notebook("10_stage")
    first = finished()
    before = contents_and_times(first.dir)
    capfd.readouterr()
    again = start("10_stage", namespace())
    said = capfd.readouterr().out
    assert again.dir == first.dir and again.shown
    assert "this run is done (" in said and "start('10_stage', globals(), fresh=True)" in said
    draw(again)
    again.write_json("more", 1)
    (again.checkpoints / "weights").write_text("y")
    again.finish({"loss": 1.0})
    assert "every metric is as in metrics.json" in capfd.readouterr().out
    again.finish({"loss": 2.0, "more": 3})
    assert "loss 1 → 2, more None → 3" in capfd.readouterr().out
    assert contents_and_times(first.dir) == before
    assert not lock.is_held(first.dir)  # iv run --force is not kept out by a notebook that is open


def test_training_again_is_asked_for_and_keeps_every_result(book, capfd):
    book.notebook("10_stage")
    first = finished()
    for loss in (2.0, 3.0):
        again = start("10_stage", namespace(), fresh=True)
        assert not again.shown and not run_folder.is_done(first.dir) and not list(first.checkpoints.iterdir())
        again.finish({"loss": loss})
    stopped = start("10_stage", namespace(), fresh=True)
    (stopped.checkpoints / "half").write_text("x")
    start("10_stage", namespace(), fresh=True)  # of attempts without a result the last is kept
    kept = {path.name: run_folder.read_metrics(path) for path in first.dir.glob("previous*")}
    losses = {name: found and found["loss"] for name, found in kept.items()}
    assert losses == {"previous": 1.0, "previous-2": 2.0, "previous-3": 3.0, "previous-4": None}
    assert (first.dir / "previous/checkpoints/weights").exists()
    assert "the earlier result is kept in" in capfd.readouterr().out
    lock.release(first.dir)


def test_an_unfinished_run_is_resumed(book):
    book.notebook("10_stage")
    first = start("10_stage", namespace())
    (first.checkpoints / "weights").write_text("x")
    again = start("10_stage", namespace())
    assert again.dir == first.dir and (again.checkpoints / "weights").exists() and not again.shown
    lock.release(first.dir)


def test_a_run_goes_on_with_another_number_of_workers(book):
    cell = "lr: float = 0.1  # peak\nnum_workers: int = 0  # processes\n"
    book.notebook("10_stage", parameters=cell)
    first = start("10_stage", namespace())
    (first.checkpoints / "weights").write_text("x")
    again = start("10_stage", namespace(num_workers=4))
    assert again.dir == first.dir and (again.checkpoints / "weights").exists()
    assert run_folder.read_params(first.dir)["num_workers"] == 4
    again.finish({"loss": 1.0})
    assert start("10_stage", namespace(num_workers=2)).shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '"x"',
        "{",
        '{"loss": NaN}',
        '{"loss": 1e999, "notebook": "10_stage", "preset": "tiny"}',
        '{"loss": 1.0}',
        "\x00\x81",
    ],
)
def test_only_a_result_that_reads_is_one(book, text):
    book.notebook("10_stage")
    first = finished()
    (first.dir / "metrics.json").write_text(text)
    assert run_folder.state(first.dir) == "part"
    again = start("10_stage", namespace())
    assert not again.shown and (again.checkpoints / "weights").exists()  # goes on from its checkpoint
    again.finish({"loss": 1.0})
    assert run_folder.is_done(first.dir) and not list(first.dir.glob("previous*"))


def test_links_in_a_run_folder_are_not_followed(book, tmp_path):
    book.notebook("10_stage")
    first = finished()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "precious").write_text("precious")
    (first.dir / "previous").symlink_to(theirs)
    (first.dir / "log.txt").symlink_to(theirs / "precious")
    start("10_stage", namespace(), fresh=True).finish({"loss": 1.0})
    assert not (first.dir / "log.txt").is_symlink()
    assert (first.dir / "previous-2/metrics.json").exists()
    (first.dir / ".lock").unlink()
    (first.dir / ".lock").symlink_to(theirs / "precious")
    with pytest.raises(UserError, match="lock is a link"):
        start("10_stage", namespace(), fresh=True)
    assert [path.read_text() for path in theirs.iterdir()] == ["precious"] and run_folder.is_done(first.dir)


def test_a_result_of_another_list_is_not_shown_but_kept(book, capfd):
    book.notebook("10_stage")
    listed = book.root / "mine/train.csv"
    listed.parent.mkdir()
    listed.write_text("a.mp4 0\n")
    first = finished(annotations="mine/train.csv")
    listed.write_text("a.mp4 0\nb.mp4 1\n")
    before = contents_and_times(first.dir)
    with pytest.raises(UserError, match=r"mine/train.csv has changed \(1 → 2 lines\) since.*fresh=True"):
        start("10_stage", namespace(annotations="mine/train.csv"))
    assert contents_and_times(first.dir) == before
    again = start("10_stage", namespace(annotations="mine/train.csv"), fresh=True)
    (again.checkpoints / "weights").write_text("x")
    listed.write_text("a.mp4 0\nb.mp4 2\n")
    capfd.readouterr()
    start("10_stage", namespace(annotations="mine/train.csv"))  # unfinished, and begun on another list
    assert "other content) since this run was begun: beginning afresh" in capfd.readouterr().out
    assert not (first.dir / "checkpoints").exists() and (first.dir / "previous/metrics.json").exists()
    lock.release(first.dir)


def test_iv_run_makes_a_result_of_another_list_anew_and_keeps_it(book, capfd):
    book.notebook("10_stage", "run.finish({'loss': float(open(annotations).read()[-2])})")
    listed = book.root / "train.csv"
    listed.write_text("a.mp4 0\n")
    assert book.iv("run", "10", "-p", "annotations=train.csv") == 0
    listed.write_text("a.mp4 5\n")
    assert book.iv("run", "10", "-p", "annotations=train.csv", "--dry") == 0
    assert "stale" in capfd.readouterr().out
    assert book.iv("run", "10", "-p", "annotations=train.csv") == 0
    said = capfd.readouterr().out
    assert "train.csv has changed (as long as before, with other content) since 10_stage tiny+ was done" in said
    folder = book.folder("10_stage")
    assert (read(folder / "metrics.json")["loss"], read(folder / "previous/metrics.json")["loss"]) == (5.0, 0.0)
    assert book.iv("run", "10", "-p", "annotations=train.csv") == 0
    assert "is done" in capfd.readouterr().out


def test_start_finds_the_preset_with_the_same_values(book):
    book.notebook("10_stage")
    book.preset("10_stage", "paper", "lr: 0.5\n")
    assert start("10_stage", namespace(lr=0.5)).label == "paper"
    assert start("10_stage", namespace(lr=0.6)).label == "custom"


def test_a_preset_is_chosen_in_an_open_notebook(book, monkeypatch):
    book.notebook("10_stage")
    book.preset("10_stage", "paper", "lr: 0.5\nmask_ratio: 0.75\n")
    book.preset("10_stage", "sweep", "grid: {lr: [0.1, 0.2]}\n")
    cells = namespace(seed=3, lr=0.25)
    begun = start("10_stage", cells, preset="paper")
    assert (cells["lr"], cells["mask_ratio"], cells["seed"]) == (0.5, 0.75, 3)
    assert {name: cells[name] for name in begun.params} == begun.params
    assert start("10_stage", namespace(), preset="paper").label == "paper"
    for name, says in (("papre", "has no preset 'papre'; did you mean paper?"), ("sweep", "is a sweep of 2 runs")):
        with pytest.raises(ParameterError, match=says):
            start("10_stage", namespace(), preset=name)
    injected = namespace(lr=0.25, In=["", "# Parameters\nlr = 0.25\n"])
    assert start("10_stage", injected, preset="paper").params["lr"] == 0.25, "papermill has chosen"
    monkeypatch.setenv("IVCORE_RUN_DIR", str(begun.dir))
    assert start("10_stage", namespace(lr=0.25), preset="paper").params["lr"] == 0.25, "iv run has chosen"


def test_a_cell_s_values_are_there_again_for_the_next_preset(book, capfd):
    """One kernel, its parameters cell run once, the setup cell again and again."""
    book.notebook("10_stage")
    book.preset("10_stage", "quick", "lr: 0.5\nmask_ratio: 0.75\nsizes: [4]\n")
    book.preset("10_stage", "other", "seed: 5\nmask_ratio: 0.25\n")
    cells = namespace()

    def values(preset=""):
        begun = start("10_stage", cells, preset=preset)
        assert {name: cells[name] for name in begun.params} == begun.params
        changed = {name: value for name, value in begun.params.items() if value != namespace()[name]}
        return begun.label, changed

    quick = ("quick", {"lr": 0.5, "mask_ratio": 0.75, "sizes": [4]})
    other = ("other", {"seed": 5, "mask_ratio": 0.25})
    for preset, expected in (("quick", quick), ("", ("tiny", {})), ("quick", quick), ("tiny", ("tiny", {})), ("quick", quick), ("other", other), ("quick", quick), ("quick", quick)):  # fmt: skip
        assert values(preset) == expected
    assert "replaces" not in capfd.readouterr().out, "nothing was edited"

    cells |= {"lr": 0.3, "seed": 9}  # edited after a preset: what the preset left elsewhere goes, the edits stay
    cells["sizes"].append(16)
    assert values() == ("custom", {"lr": 0.3, "seed": 9, "sizes": [4, 16]})
    assert values("quick") == ("custom", quick[1] | {"seed": 9})
    said = capfd.readouterr().out
    assert "preset quick replaces lr = 0.3, sizes = [4, 16]\n" in said and "seed = 9" not in said
    with pytest.raises(ParameterError, match="has no preset"):
        start("10_stage", cells, preset="nope")
    assert values() == ("custom", {"lr": 0.3, "seed": 9, "sizes": [4, 16]})


@pytest.fixture
def short(book):
    """A notebook whose cell is a short run."""
    book.notebook("10_stage")
    book.preset("10_stage", "tiny", "lr: 0.5\nsizes: [64]\n")
    book.preset("10_stage", "paper", "lr: 0.1\n")
    return book


def test_an_opened_notebook_is_a_short_run_and_says_so(short, capfd):
    begun = start("10_stage", namespace())
    assert (begun.label, begun.params["lr"], begun.params["sizes"]) == ("look", 1e-3, [8, 16])
    assert capfd.readouterr().out.startswith("a short run, to look at: `iv run 10 tiny` is the measured one\n")
    assert start("10_stage", namespace(seed=1)).label == "custom"
    assert "a short run" in capfd.readouterr().out, "as short with another seed"
    assert start("10_stage", namespace(lr=0.1)).params["sizes"] == [8, 16], "what a cell says is what runs"
    assert "a short run" not in capfd.readouterr().out
    short.preset("10_stage", "tiny_other", "lr: 0.2\n")
    start("10_stage", namespace())
    assert "look at: `iv run 10 tiny` and `iv run 10 tiny_other` are the measured ones\n" in capfd.readouterr().out


def test_a_preset_and_papermill_begin_with_tiny_in_an_open_notebook_too(short):
    assert start("10_stage", namespace(), preset="paper").params["sizes"] == [64]
    assert start("10_stage", namespace(), preset="tiny").label == "tiny"
    assert start("10_stage", namespace(sizes=[4]), preset="paper").params["sizes"] == [4], "edited in the cell"
    injected = namespace(lr=0.1, In=["# Parameters\nlr = 0.1"])
    assert start("10_stage", injected).label == "paper" and injected["sizes"] == [64]
    injected = namespace(In=["# Parameters\nlr = 0.001"])
    assert start("10_stage", injected).params["lr"] == 1e-3, "papermill has said so"


def test_the_measured_run_is_shown_where_it_is_there(short, capfd):
    start("10_stage", namespace(), preset="tiny").finish({"loss": 1.0})
    capfd.readouterr()
    cells = namespace()
    begun = start("10_stage", cells)
    assert (begun.shown, begun.label, cells["lr"], cells["sizes"]) == (True, "tiny", 0.5, [64])
    assert "the run of tiny is there: it is shown" in capfd.readouterr().out
    assert start("10_stage", cells, preset="look").params["lr"] == 1e-3
    assert start("10_stage", namespace(seed=1)).params["lr"] == 1e-3, "another run was asked for"


def test_a_cell_that_sets_what_the_preset_had_is_believed(book):
    book.notebook("10_stage")
    book.preset("10_stage", "quick", "lr: 0.5\nseed: 3\n")
    cells = namespace(In=["", "lr: float = 0.001", "run = start(…)"])
    start("10_stage", cells, preset="quick")
    cells["In"] += ["lr: float = 0.5  # peak", "seed == 3"]
    params = start("10_stage", cells).params
    assert (params["lr"], params["seed"]) == (0.5, 0)


def test_a_figure_keeps_its_words(book):
    import matplotlib.pyplot as plt

    book.notebook("10_stage")
    begun = start("10_stage", namespace())
    words = begun.dir / "figures/line.json"
    begun.figure(plt.figure(), "line", caption="The loss falls.", alt="A falling line")
    assert read(words) == {"caption": "The loss falls.", "alt": "A falling line"}
    begun.figure(plt.figure(), "line")
    assert not words.exists() and (begun.dir / "figures/line.png").exists()


def test_start_checks_what_lab_and_papermill_hand_it(book):
    book.notebook("10_stage")
    for wrong, says in (
        ({"lr": "1e-4"}, "write 1.0e-4"),
        ({"mask_ratio": 2.0}, "must be in"),
        ({"mode": "x"}, "one of"),
    ):
        with pytest.raises(ParameterError, match=says):
            start("10_stage", namespace(**wrong))
    incomplete = namespace()
    del incomplete["seed"]
    with pytest.raises(ParameterError, match="seed is not set: run the parameters cell"):
        start("10_stage", incomplete)
    with pytest.raises(ParameterError, match="lrr is not a parameter"):
        start("10_stage", namespace(In=["", "# Parameters\nlrr = 0.5\n"]))
    assert not book.folders("10_stage")


def test_start_finds_a_file_beside_the_notebook_and_the_cells_open_the_same(book, monkeypatch):
    """JupyterLab's working folder is that of the notebook, where its upload button puts files."""
    book.notebook("10_stage")
    (book.root / "notebooks/mine.csv").write_text("a.mp4 0\n")
    (book.root / "ours.csv").write_text("a.mp4 0\n")
    monkeypatch.chdir(book.root / "notebooks")
    for given, kept in (("mine.csv", "notebooks/mine.csv"), ("ours.csv", "ours.csv")):
        cells = namespace(annotations=given)
        begun = start("10_stage", cells)
        assert begun.params["annotations"] == kept
        assert Path(cells["annotations"]) == book.root / kept
        monkeypatch.chdir(book.root)
        assert Spec.of("10").folder(Spec.of("10").resolve("tiny", {"annotations": kept})) == begun.dir
        monkeypatch.chdir(book.root / "notebooks")
        assert start("10_stage", cells).dir == begun.dir, "the same run where the setup cell is run again"
        lock.release(begun.dir)


def test_start_seeds_every_generator(book):
    book.notebook("10_stage")
    drawn = []
    for seed in (1, 1, 2):
        start("10_stage", namespace(seed=seed))
        drawn.append((np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1] and drawn[0][0] != drawn[2][0] and drawn[0][1] != drawn[2][1]


def test_run_dir_can_be_chosen(book):
    book.notebook("10_stage")
    begun = start("10_stage", namespace(run_dir="elsewhere/mine"))
    assert begun.dir == book.root / "elsewhere/mine"
    begun.finish({"loss": 1.0})
    assert start("10_stage", namespace(run_dir="elsewhere/mine")).shown
    with pytest.raises(ParameterError, match="holds a run with other parameters"):
        start("10_stage", namespace(run_dir="elsewhere/mine", lr=0.5))
    assert run_folder.is_done(begun.dir)


@pytest.mark.parametrize("theirs", ["metrics.json", "params.yaml", "thesis.tex"])
def test_a_run_dir_with_somebodys_files_is_refused(book, theirs):
    book.notebook("10_stage")
    folder = book.root / "theirs"
    (folder / "previous").mkdir(parents=True)
    (folder / "previous/old.txt").write_text("b")
    (folder / theirs).write_text("{}")
    before = contents_and_times(folder)
    with pytest.raises(ParameterError, match="run_dir = 'theirs': the folder holds files of something else"):
        start("10_stage", namespace(run_dir="theirs"), fresh=True)
    assert contents_and_times(folder) == before


def test_iv_run_refuses_a_run_dir(book, capfd):
    book.notebook("10_stage")
    assert book.iv("run", "10", "-p", "run_dir=/x") == 2
    assert "run_dir" in capfd.readouterr().err and not book.folders("10_stage")


def test_a_name_that_leads_out_of_the_outputs_is_refused(book, capfd):
    path = book.notebook("10_stage")
    odd = path.rename(path.with_name("...ipynb"))
    assert book.iv("run", odd) == 2
    assert "must not begin with a dot" in capfd.readouterr().err


@pytest.mark.parametrize(
    "metrics, says",
    [
        ({"good": 1.0, "loss": float("nan")}, "'loss' is nan"),
        ({"loss": float("inf")}, "'loss' is inf"),
        ({"loss": torch.tensor(float("nan"))}, "'loss' is nan"),
        ({"losses": [1.0]}, "'losses' is list"),
        ({"losses": np.ones(2)}, "'losses' is ndarray"),
        ({"wall_seconds": 1}, "'wall_seconds': the name is taken"),
    ],
)
def test_finish_refuses_what_is_no_result(book, metrics, says):
    book.notebook("10_stage")
    begun = start("10_stage", namespace())
    with pytest.raises(ValueError, match=says):
        begun.finish(metrics)
    assert not run_folder.is_done(begun.dir)


def test_finish_takes_numpy_and_torch_scalars(book):
    book.notebook("10_stage")
    begun = start("10_stage", namespace())
    begun.finish({"a": np.float32(0.5), "b": torch.tensor(2), "c": np.bool_(True), "d": "shapes", "e": 3})
    found = read(begun.dir / "metrics.json")
    assert [found[name] for name in "abcde"] == [0.5, 2, True, "shapes", 3]
    assert not list(begun.dir.glob("*.tmp"))


def test_upstream_is_none_for_scratch(book):
    book.notebook("30_task", parameters='encoder: str = "scratch"  # start; encoder\n')
    begun = start("30_task", {"encoder": "scratch"})
    assert begun.upstream("encoder") is None
    assert begun.seed == 0
