"""The `iv` command as a user types it: exit status, one line a mistake, and fast."""

import re
import subprocess
import sys

import pytest
from workbook import Workbook

import ivcore
from ivcore import costs, files
from ivcore.run import cli
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run.spec import Spec


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage")
    made.preset("10_stage", "paper", "lr: 1.5e-4\n")
    (tmp_path / "broken.csv").write_text("a.mp4 0\nb.mp4\n")
    return made


@pytest.mark.parametrize(
    "given, names",
    [
        ("mask_ration=0.5", "mask_ratio"),
        ("lr=abc", "lr"),
        ("mask_ratio=1.5", "mask_ratio"),
        ("annotations=missing.csv", "annotations"),
        ("annotations=broken.csv", "broken.csv:2"),
    ],
)
def test_a_mistake_costs_one_line_and_no_kernel(book, given, names):
    process = book.process("ivcore.run.cli", "run", "10", "tiny", "-p", given)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 2 and out == ""
    assert said.count("\n") == 1 and said.startswith("iv: ") and names in said
    assert not book.folders("10_stage")


def test_a_mistake_in_the_commands_form(book, capsys):
    assert book.iv("run", "10", "-p", "lr") == 2
    assert "-p lr: expected NAME=VALUE" in capsys.readouterr().err
    assert book.iv("run", "10", "-p", "seed=1", "-p", "seed=2") == 2
    assert "-p seed: given 2 times, give one value" in capsys.readouterr().err
    assert book.iv("run", "10", "papre") == 2
    assert "did you mean paper?" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        book.iv("rum", "10")
    assert left.value.code == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon", ""])
def test_a_time_out_is_above_zero(book, capsys, seconds):
    assert book.iv("run", "10", "--timeout", seconds) == 2
    said = capsys.readouterr().err
    assert said == f"iv: --timeout {seconds}: must be a number of seconds above 0\n"
    assert not book.folders("10_stage")


COMMANDS = ("tour", "run", "list", "params", "graph", "board", "report", "models", "plan", "submit", "box", "features", "classify", "finetune", "index", "search", "caption", "ask", "timeline", "data", "data metaworld", "data shapes", "check", "doctor")  # fmt: skip


def help_of(capsys, *words) -> str:
    with pytest.raises(SystemExit) as left:
        cli.main([*words, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_its_exit_status(capsys, command):
    shown = help_of(capsys, *command.split())
    assert re.search(rf"examples:\n  iv {command}", shown) and "exit status:\n  0 " in shown
    described = shown.split("examples:")[0].split("\n\n", 1)[1]
    arguments = re.findall(r"^  (\S.*)$(?!\n {5,}\S)", described, re.MULTILINE)
    assert not [line for line in arguments if re.fullmatch(r"[-\w]+(, -[-\w]+)?( [A-Z,=]+)?", line)]


def test_help_names_all_commands_the_environment_and_the_exit_status(capsys):
    shown = help_of(capsys)
    listed = re.findall(r"^    (\w+) ", shown.split("first steps")[0], re.MULTILINE)
    assert listed == list(dict.fromkeys(command.split()[0] for command in COMMANDS))
    assert {"IVCORE_OUTPUTS", "IVCORE_CACHE", "IVCORE_BOX", "IVCORE_ROOT"} <= set(shown.split())
    for status in ("0 done", "124 --timeout", "130 Ctrl-C", "143 SIGTERM", "137 the kernel was killed"):
        assert status in shown and status in help_of(capsys, "run")


def test_iv_alone_prints_its_help_and_its_version_when_asked(capsys):
    assert cli.main([]) == 0
    assert capsys.readouterr().out == help_of(capsys)
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0 and capsys.readouterr().out == f"iv {ivcore.__version__}\n"


def test_list_shows_claims_presets_and_states(book, capsys):
    job = run.jobs("10")[0]
    run_folder.write_params(job.folder, job.values)
    assert book.iv("list") == 0
    said = capsys.readouterr().out
    assert "10_stage: A test" in said and "It shows that notebooks run." in said
    assert re.search(r"tiny +part +outputs/10_stage/tiny-", said) and re.search(r"paper +-", said)
    files.write_json(job.folder / "metrics.json", {"loss": 1, "notebook": "10_stage", "preset": "tiny"})
    other = run.jobs("10", "tiny", {"seed": "1"})[0]
    run_folder.write_params(other.folder, other.values)
    files.write_json(other.folder / "error.json", {})
    book.iv("list")
    said = capsys.readouterr().out
    assert re.search(r"tiny +done", said) and "others:      1 failed" in said


def test_list_shows_one_notebook_alone(book, capsys):
    book.notebook("11_stage")
    assert book.iv("list", "11") == 0
    said = capsys.readouterr().out
    assert "11_stage: A test" in said and "10_stage" not in said
    assert book.iv("list", "12") == 2 and "there is no notebook '12'" in capsys.readouterr().err


def test_list_passes_over_a_file_that_is_no_notebook(book, capsys):
    book.notebook("10_stage")
    (book.root / "notebooks/09_odd.ipynb").write_text("[]")
    (book.root / "notebooks/08_gone.ipynb").symlink_to("nowhere")
    assert book.iv("list") == 0
    shown = capsys.readouterr().out
    assert "09_odd: notebooks/09_odd.ipynb: not a notebook" in shown and "08_gone: " in shown
    assert "10_stage: A test" in shown


def test_list_survives_a_preset_whose_files_are_elsewhere(book, capsys):
    book.preset("10_stage", "cluster", "annotations: /data/train.csv\n")
    assert book.iv("list") == 0
    assert re.search(r"cluster +not here: annotations", capsys.readouterr().out)


def test_params_shows_what_may_be_given(book, capsys):
    assert book.iv("params", "10", "paper") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mask_ratio"))
    assert "float" in line and "in [0, 1)" in line and "share of tubelets hidden" in line


def test_params_stand_below_the_headings_of_their_cell(book, capsys):
    book.notebook(
        "11_stage",
        parameters="""\
seed: int = 0  # of every generator
# -- data
clips: int = 8  # how many
size: int = 32  # in pixels
# -- optimisation
lr: float = 0.1  # peak
""",
    )
    assert book.iv("params", "11") == 0
    words = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[2:] if line]
    assert words == [["seed", "int"], ["--", "data"], ["clips", "int"], ["size", "int"], ["--", "optimisation"], ["lr", "float"]]  # fmt: skip


def test_doctor_names_device_and_video(capsys):
    from ivcore.run import cli

    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    for word in ("python", "torch", "cores", "GPU", "video", "Slurm", "EGL", "disk"):
        assert word in said
    assert "PyAV" in said and "DeepSpeed" not in said  # which nothing here uses


def test_python_m_runs_the_same_command(book):
    process = book.process("ivcore.run", "10", "--dry")
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "outputs/10_stage/tiny-" + Spec.of("10").digest(Spec.of("10").resolve()) in out


def test_the_console_script_is_installed():
    from pathlib import Path

    script = Path(sys.executable).with_name("iv")
    assert subprocess.run([script, "--help"], capture_output=True, timeout=60).returncode == 0


def test_models_lists_the_sizes_asked_for(capsys):
    assert cli.main(["models", "tiny, 400"]) == 0
    assert "893,712" in capsys.readouterr().out
    assert cli.main(["models", "nonsense"]) == 2
    said = capsys.readouterr()
    assert "no model has 'nonsense'" in said.err and said.err.count("\n") == 1
    assert said.out.splitlines() == costs.names()


@pytest.mark.parametrize("command", ["data creatures", "data hybrid", "check list.csv"])
@pytest.mark.parametrize("workers", ["0", "-3", "x", "9" * 5000])
def test_workers_are_counted_from_one(command, workers, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), f"--workers={workers}"])
    assert stop.value.code == 2 and "must be a whole number of at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["finetune", ""], ["finetune", "mine", "--out", ""], ["features", ""], ["features", "mine", "--out="], ["classify", "a.mp4", ""],
     ["features", "mine", "--model", ""], ["check", ""], ["data", "mini", "k400", ""], ["data", "hybrid", "--sources", ""], ["report", "-o", ""]],
)  # fmt: skip
def test_an_empty_argument_is_no_path(words, capsys):
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.endswith("= '': is empty; give it a value, or leave it out\n")


@pytest.mark.parametrize(
    "words", [["finetune", "x" * 5000], ["check", "x" * 5000], ["finetune", "mine", "--out", "~nobodyhere/x"]]
)
def test_a_path_that_no_file_can_have_costs_one_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("mine/a/1.mp4", "mine/b/2.mp4"):
        (tmp_path / name).parent.mkdir(parents=True), (tmp_path / name).write_text(name)
    assert cli.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 300 and ("there is no such" in line or "there is no user 'nobodyhere'" in line)


def test_two_numbers_for_one_source_cost_one_line(capsys):
    assert cli.main(["data", "hybrid", "--clips", "shapes=1,shapes=2"]) == 2
    assert "give one number for each name" in capsys.readouterr().err


def test_numbers_of_thousands_of_digits_cost_one_line(capsys):
    assert cli.main(["data", "hybrid", "--clips", f"shapes={'9' * 5000}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("iv: --clips 'shapes=999") and len(line) < 300


def test_a_broken_pipe_is_no_success_unless_it_is_the_one_that_is_printed_to(monkeypatch, capsys):
    def broken(options):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(cli, "_models", broken)
    assert cli.main(["models"]) == 1 and "Broken pipe" in capsys.readouterr().err
