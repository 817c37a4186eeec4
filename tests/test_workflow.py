"""The graph run by the real Snakemake: parallel, skipped, continued after a kill, and clear about what failed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workbook import Workbook, read

from ivcore import files
from ivcore.run import execute as run
from ivcore.run import folder as run_folder

WORKFLOW = Path(__file__).parent.parent / "workflow"
STAGES = "graphs:\n  recipe: [10 tiny, 30 tiny, 30 scratch]\nleaderboard: 90 tiny\n"
LR = "lr: float = 0.1  # peak\n"
START = 'masked_encoder: str = "10/tiny"  # what to start from; encoder\n'
FINISH = """\
import os, time
step = run.checkpoints / "step.txt"
resumed = step.exists()
step.write_text("1")
run.finish({"resumed": resumed, "threads": int(os.environ.get("OMP_NUM_THREADS", 0)), "at": time.time()})
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def book(tmp_path, monkeypatch):
    """10, which 30 tiny starts from, 30 scratch and a leaderboard."""
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage", FINISH, parameters=LR)
    made.notebook("30_task", FINISH, parameters=LR + START)
    made.notebook("90_board", FINISH, parameters=LR)
    made.preset("30_task", "scratch", "masked_encoder: scratch\n")
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/stages.yaml").write_text(STAGES)
    return made


def begin(book, *arguments, profile="local", **settings):
    options = (
        "-s",
        WORKFLOW / "Snakefile",
        "--workflow-profile",
        WORKFLOW / "profiles" / profile,
        "-d",
        os.environ.get("IVCORE_OUTPUTS", "outputs"),
    )
    return book.process("snakemake", *options, *arguments, **settings)


def go(book, *arguments, **settings):
    """(exit status, what jobs said, everything else that was said)"""
    process = begin(book, *(arguments or ("--cores", "2")), **settings)
    said, errors = process.communicate(timeout=500)
    return process.returncode, said, errors


def started(said: str) -> list[str]:
    return [line.split(":")[0].removeprefix("→ ") for line in said.splitlines() if line.startswith("→")]


def metrics(book) -> dict[str, dict]:
    """Name -> metrics of the finished run that its preset stands for now."""
    from ivcore.run import graph

    nodes = graph.collect(graph.lines("recipe", graph.stages(book.root / "workflow/stages.yaml")))
    return {node.name: read(node.metrics) for node in nodes if node.metrics.exists()}


def test_finished_runs_are_skipped_and_changed_runs_renew_their_dependants(book):
    status, said, errors = go(book)
    assert status == 0, errors
    assert sorted(started(said)) == ["10 tiny", "30 scratch", "30 tiny"] and started(said)[-1] == "30 tiny"
    assert "✓ 10 tiny done in" in said and "✓ leaderboard" in said
    first = metrics(book)
    assert {name: found["threads"] for name, found in first.items()} == {"10 tiny": 1, "30 scratch": 1, "30 tiny": 2}
    assert first["30 tiny"]["at"] > first["10 tiny"]["at"]
    assert "30 tiny" in (book.root / "outputs/report/index.html").read_text()

    status, said, errors = go(book)
    assert (status, said) == (0, "") and metrics(book) == first

    book.preset("30_task", "scratch", "masked_encoder: scratch\nlr: 0.2\n")
    status, said, errors = go(book)
    assert (status, started(said)) == (0, ["30 scratch"]) and "✓ leaderboard" in said
    second = metrics(book)
    assert {name for name in first if first[name] != second[name]} == {"30 scratch"}

    assert book.iv("run", "10", "--force") == 0  # the same parameters, another result
    status, said, errors = go(book)
    assert (status, started(said)) == (0, ["30 tiny"])
    third = metrics(book)
    assert third["30 scratch"] == second["30 scratch"] and third["30 tiny"]["resumed"] is False
    (kept,) = book.root.glob("outputs/30_task/tiny-*/previous/metrics.json")
    assert read(kept) == second["30 tiny"]  # although Snakemake deletes what a job makes before it runs it again


def test_a_graph_that_was_killed_is_continued(book):
    waits = "import time\nstep = run.checkpoints / 'begun.txt'\nif not step.exists():\n    step.write_text('1')\n    time.sleep(600)"
    book.notebook("10_stage", waits, FINISH, parameters=LR)
    process = begin(book, "--cores", "2", start_new_session=True)
    until(lambda: list(book.root.glob("outputs/10_stage/*/checkpoints/begun.txt")) and "30 scratch" in metrics(book))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = metrics(book)
    assert list(before) == ["30 scratch"]
    status, said, errors = go(book)
    assert status == 0, errors
    assert started(said) == ["10 tiny", "30 tiny"] and metrics(book)["30 scratch"] == before["30 scratch"]
    assert (book.folder("10_stage") / "notebook.1.ipynb").exists()  # the second attempt, in the same folder


def until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_failed_run_is_named_and_the_others_are_finished(book):
    book.notebook("10_stage", "assert lr > 1, 'no such luck'", parameters=LR)
    status, said, errors = go(book)
    assert status != 0
    assert "✓ 30 scratch" in said and list(metrics(book)) == ["30 scratch"]
    assert "AssertionError: no such luck" in errors and "CalledProcessError" not in errors
    summary = errors[errors.index("without a result:") :]
    assert "10 tiny: failed: AssertionError: no such luck (outputs/10_stage/tiny-" in summary
    assert "30 tiny: not run, it needs 10 tiny" in summary and "30 scratch" not in summary
    assert not (book.root / "outputs/report/index.html").exists()
    assert run_folder.state(book.folder("10_stage")) == "failed"


def test_videos_that_were_deleted_do_not_bring_back_finished_runs(book):
    book.notebook("10_stage", FINISH, parameters=LR + "num_clips: int = 60  # of the moving shapes\n")
    folder = run.jobs("10")[0].folder
    run_folder.write_params(folder, {"lr": 0.1})
    (book.root / "workflow/stages.yaml").write_text("graphs:\n  recipe: [10 tiny, 10 other]\n")
    book.preset("10_stage", "other", "lr: 0.2\n")
    files.write_json(folder / "metrics.json", {"notebook": "10_stage", "preset": "tiny"})
    status, said, errors = go(book, "--cores", "2", "-n")
    assert status == 0, errors
    assert "rule shapes_60:" in said + errors and "rule 10_other:" in said + errors
    assert "rule 10_tiny:" not in said + errors


ODD = """sp ace'quo"te$lar&a;touch PWNED;(paren)back\\slash$(touch PWNED)`touch PWNED`#hash*[b]~%öü\nnew -dash"""


def test_folders_of_any_name_are_names_and_never_run(book, monkeypatch):
    """The preset has a name that a shell would run, too."""
    outputs = book.root / ODD
    monkeypatch.setenv("IVCORE_OUTPUTS", str(outputs))
    preset = "a;>PWNED&$(x)"
    book.preset("10_stage", preset, "lr: 0.3\n")
    (book.root / "workflow/stages.yaml").write_text(f"graphs:\n  recipe: ['10 {preset}']\n")
    status, said, errors = go(book)
    assert status == 0, errors
    assert f"✓ 10 {preset} done in" in said and (outputs / "report/index.html").is_file()
    assert not list(book.root.rglob("PWNED*"))


@pytest.mark.parametrize("name", ["bra{ce}", "{wildcard}"])
def test_braces_are_refused_before_anything_runs(book, monkeypatch, name):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(book.root / name))
    status, said, errors = go(book)
    assert status != 0 and f"iv: {name}" in errors and "braces" in errors and "Traceback" not in errors
    assert said == "" and not list(book.root.rglob("params.yaml"))


def test_a_mistake_costs_one_line(book):
    status, _, errors = go(book, "--cores", "2", "--config", "graph=recipes")
    assert status != 0 and "iv: there is no graph 'recipes'; did you mean recipe?" in errors
    book.preset("30_task", "scratch", "masked_encoder: scratch\nlr: fast\n")
    status, _, errors = go(book)
    assert status != 0 and "iv: 30 scratch: lr = 'fast': expected float" in errors and "Traceback" not in errors


def test_real_notebooks_at_preset_quick(tmp_path, monkeypatch):
    """Shapes, pretraining, fine-tuning, the leaderboard and the report, as `make graph GRAPH=quick` runs them."""
    outputs = tmp_path / "outputs"
    monkeypatch.setenv("IVCORE_OUTPUTS", str(outputs))
    monkeypatch.delenv("IVCORE_CACHE", raising=False)
    command = ["-s", "workflow/Snakefile", "--workflow-profile", "workflow/profiles/local", "-d", str(outputs)]
    command = [sys.executable, "-m", "snakemake", *command, "--cores", "2", "--config", "graph=quick"]
    done = subprocess.run(command, cwd=WORKFLOW.parent, capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, done.stderr
    assert started(done.stdout) == ["shapes 60", "10 quick", "30 quick"]
    page = (outputs / "report/index.html").read_text()
    assert page.count("data:image/webp") >= 6 and "30 · Action recognition" in page


def test_runs_on_one_machine_take_a_gpu_each(book):
    holds = "import os, time\ngpus = os.environ['CUDA_VISIBLE_DEVICES']\ntime.sleep(3)\nrun.finish({'gpus': gpus})"
    book.notebook("10_stage", holds, parameters=LR)
    (book.root / "workflow/stages.yaml").write_text("graphs:\n  recipe: [10 tiny, 10 other]\n")
    book.preset("10_stage", "other", "lr: 0.2\n")
    status, _, errors = go(book, "--cores", "2", "--resources", "gpu=2", profile="gpus")
    assert status == 0, errors
    assert sorted(found["gpus"] for found in metrics(book).values()) == ["0", "1"]


def has_slurm() -> bool:
    if not shutil.which("sbatch"):
        return False
    from importlib.util import find_spec

    answer = subprocess.run(["timeout", "10", "sinfo", "-h"], capture_output=True, text=True)
    return answer.returncode == 0 and bool(answer.stdout.strip()) and bool(find_spec("snakemake_executor_plugin_slurm"))


@pytest.mark.skipif(not shutil.which("sbatch"), reason="no Slurm here")
def test_the_same_graph_through_slurm(book):
    if not has_slurm():
        pytest.skip("no Slurm controller answers, or its plugin for Snakemake is missing")
    quickly = ("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3")
    status, _, errors = go(book, "--slurm-no-account", "--max-threads", "1", *quickly, profile="slurm")
    assert status == 0, errors
    assert set(metrics(book)) == {"10 tiny", "30 tiny", "30 scratch"}
    assert "submitted with SLURM jobid" in errors
