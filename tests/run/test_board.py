"""The leaderboard: seeds are averaged, differences from the preset named, data sources never mistaken."""

import csv
import os

import pytest
from workbook import Workbook

from ivcore import files
from ivcore.run import board, notebook, provenance
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run.spec import Spec

TASK = """\
seed: int = 0  # of every generator
lr: float = 0.1  # peak
train: str = ""  # training clips; file kinetics_csv or generated set
encoder: str = ""  # what to start from; encoder
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage")
    made.notebook("30_task", parameters=TASK)
    (tmp_path / "k400.csv").write_text("a.mp4 0\n")
    return made


def finished(notebook, metrics, preset="tiny", **overrides):
    job = run.jobs(notebook, preset, overrides)[0]
    folder = job.folder
    run_folder.write_params(folder, job.values)
    files.write_json(
        folder / "metrics.json", metrics | {"wall_seconds": 90.0, "notebook": folder.parent.name, "preset": preset}
    )
    return folder


def test_seeds_are_one_line_with_their_spread(book):
    for seed, top1 in ((0, 0.5), (1, 0.6), (2, 0.7)):
        finished("30", {"top1": top1, "how": "linear"}, seed=seed)
    (line,) = board.aggregate(board.rows("30"))
    assert line == {
        "run": "tiny",
        "data": board.SHAPES,
        "seeds": 3,
        "top1": "0.6 ± 0.1",
        "how": "linear",
        "time": "1.5 min",
    }


def test_splits_of_a_dataset_are_averaged_as_seeds_are(book):
    book.notebook("31_splits", parameters=TASK + "split: int = 1  # of three; in [1, 3]\n")
    for split, top1 in ((1, 0.5), (2, 0.6), (3, 0.7)):
        finished("31", {"top1": top1}, split=split)
    (line,) = board.aggregate(board.rows("31"))
    assert (line["run"], line["top1"]) == ("tiny", "0.6 ± 0.1")


def test_runs_that_differ_in_more_than_the_seed_are_told_apart(book):
    finished("30", {"top1": 0.5})
    finished("30", {"top1": 0.7}, lr=0.3)
    assert {line["run"]: line["top1"] for line in board.aggregate(board.rows())} == {
        "tiny": "0.5",
        "tiny, lr=0.3": "0.7",
    }


def test_a_sweep_names_its_axes_and_not_what_is_common(book):
    book.preset("30_task", "sweep_lr", "seed: 4\ngrid:\n  lr: [0.2, 0.4]\n")
    for job in run.jobs("30", "sweep_lr"):
        run_folder.write_params(job.folder, job.values)
        files.write_json(
            job.folder / "metrics.json", {"top1": job.values["lr"], "notebook": "10_stage", "preset": "tiny"}
        )
    assert sorted(row.name for row in board.rows("30")) == ["sweep_lr, lr=0.2", "sweep_lr, lr=0.4"]


def test_a_preset_lends_its_name_to_the_sweep_that_repeats_it_over_seeds(book):
    book.preset("30_task", "sweep_seeds", "grid:\n  seed: [0, 1]\n")
    finished("30", {"top1": 0.5})
    for job in run.jobs("30", "sweep_seeds"):
        run_folder.write_params(job.folder, job.values)
        files.write_json(job.folder / "metrics.json", {"top1": 0.5, "notebook": "10_stage", "preset": "tiny"})
    (line,) = board.aggregate(board.rows("30"))
    assert (line["run"], line["seeds"]) == ("tiny", 2)  # seed 0 was there already, under the preset's name


def test_the_data_source_is_named(book):
    finished("30", {"top1": 0.5})
    finished("30", {"top1": 0.8}, train="k400.csv")
    finished("30", {"top1": 0.6, "data": "Meta-World"}, lr=0.3)
    finished("30", {"top1": 0.7, "data": "hybrid:shapes+camera"}, train="hybrid")
    found = {line["top1"]: line["data"] for line in board.aggregate(board.rows("30"))}
    assert found == {
        "0.5": "moving shapes (generated)",
        "0.8": "k400.csv",
        "0.6": "Meta-World",
        "0.7": "hybrid:shapes+camera",
    }


def test_two_folders_are_two_sources(book):
    for folder in ("my_cats", "my_dogs"):
        lists(book, f"{folder}/train.csv")
        finished("30", {"top1": 0.5, "data": "train.csv"}, train=f"{folder}/train.csv")
    sources = {line["data"] for line in board.aggregate(board.rows("30"))}
    assert sources == {"my_cats/train.csv", "my_dogs/train.csv"}


def test_an_upstream_encoder_is_named_by_its_run(book):
    upstream = finished("10", {"loss": 1.0})
    finished("30", {"top1": 0.9}, encoder=str(upstream))
    (line,) = board.aggregate(board.rows("30"))
    assert line["run"] == "tiny, encoder=10/tiny"


def test_where_nothing_varies_there_is_no_spread(book):
    for seed, top1 in ((0, 0.5), (1, 0.6), (2, 0.7)):
        finished("30", {"top1": top1, "chance": 1 / 19}, seed=seed)
    (line,) = board.aggregate(board.rows("30"))
    assert line["chance"] == "0.05263" and line["top1"] == "0.6 ± 0.1"


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_long_name_leaves_room_for_two_metrics_of_the_headline(book, seeds):
    headline = ["top1_coordinated", "top1_ensemble", "top1_masked", "top1_multimodal"]
    metrics = dict.fromkeys(headline, 0.87654) | {"headline": headline, "loss": 1.0}
    for seed in range(seeds):
        mine = {"train": "k400.csv", "encoder": "OpenGVLab/an_encoder_with_a_rather_long_name"}
        for values in ({}, mine, mine | {"lr": 0.123456}):
            finished(
                "30", metrics | {"top1_coordinated": 0.5 + seed / 7, "top1_ensemble": seed / 7}, seed=seed, **values
            )
    text = board.text(board.rows("30"), "30", width=80)
    _, head, _, *lines = text.splitlines()
    assert head.split()[1:3] == headline[:2] and max(map(len, text.splitlines())) <= 80
    names = {line.split("  ")[0] for line in lines[:3]}
    assert len(names) == 3 and max(map(len, names)) <= 30


def test_names_are_cut_so_that_they_stay_apart():
    assert board._shortened(["tiny", "tiny, lr=0.1, and more"], 12) == ["tiny", "tiny, lr=0.…"]
    assert board._shortened(["tiny, lr=0.1, a=1", "tiny, lr=0.1, a=2"], 12) == ["tiny, …, a=1", "tiny, …, a=2"]
    long = ["tiny, lr=0.1, one of them, and more", "tiny, lr=0.1, two of them, and more"]
    assert board._shortened(long, 12) == ["…one of the…", "…two of the…"]


def test_unfinished_runs_have_a_table_of_their_own(book, capsys):
    finished("30", {"top1": 0.5})
    job = run.jobs("30", "tiny", {"lr": "0.7"})[0]
    run_folder.write_params(job.folder, job.values)
    files.write_json(job.folder / "error.json", {"kind": "failed", "exception": "ValueError", "message": "no\nmore"})
    assert board.unfinished() == [
        {"notebook": "30_task", "run": "tiny, lr=0.7", "state": "failed", "why": "failed: ValueError: no"}
    ]
    assert book.iv("board") == 0
    said = capsys.readouterr().out
    assert "without a result" in said and said.index("30_task") < said.index("without a result")


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 100 characters."""
    monkeypatch.setenv("COLUMNS", "100")


def test_files_hold_every_metric_and_parameter(book, capsys, narrow):
    metrics = {f"metric{i}": float(i) for i in range(9)}
    folder = finished("30", metrics)
    assert book.iv("board", "30") == 0
    said = capsys.readouterr().out
    assert "metric0" in said and "metric8" not in said
    assert max(map(len, said.splitlines())) <= 100 and "more metrics: iv board 30 --all" in said
    assert book.iv("board", "30", "--all") == 0
    said = capsys.readouterr().out
    assert "metric8" in said and max(map(len, said.splitlines())) <= 100
    text = (book.root / "outputs/leaderboard.md").read_text()
    assert "| metric8" in text and "## 30_task" in text and "moving shapes (generated)" in text
    with open(book.root / "outputs/leaderboard.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["run"] == folder.name and row["metric8"] == "8.0" and row["param.lr"] == "0.1"


def test_every_row_shows_a_number_where_their_headlines_differ(book):
    for number, name in enumerate(("further_actions", "creatures", "hmdb51")):
        headline = [f"auc_{name}", f"auc_at_threshold_{name}"]
        finished("30", dict.fromkeys(headline, 0.9) | {"headline": headline}, lr=0.1 + 0.1 * number)
    names = board.headline(board.rows("30"))
    assert {*names[:3]} == {"auc_further_actions", "auc_creatures", "auc_hmdb51"} and len(names) == 6


def test_a_notebooks_headline_comes_first_everywhere(book, capsys, narrow):
    metrics = {f"top1_of_branch_number_{i}": 0.1 for i in range(9)} | {"top1_ensemble": 0.8, "top1_coordinated": 0.9}
    headline = {"headline": ["top1_coordinated", "top1_ensemble"]}
    finished("30", {"other": 1.0} | metrics)  # one from before the notebook said so
    finished("30", metrics | headline, lr=0.3)
    assert book.iv("board", "30") == 0
    head, _, *lines = capsys.readouterr().out.splitlines()[1:5]
    assert head.split()[:3] == ["run", "top1_coordinated", "top1_ensemble"] and "other" not in head
    assert [line.rstrip()[head.index("top1_coordinated") :][:3] for line in lines] == ["0.9", "0.9"]
    first = (book.root / "outputs/leaderboard.csv").read_text().splitlines()[0].split(",")
    assert first[3:5] == ["top1_coordinated", "top1_ensemble"] and "headline" not in first
    for line in board.aggregate(board.rows("30")):  # columns do not go out of step
        assert list(line)[3:5] == ["top1_coordinated", "top1_ensemble"] and "headline" not in line


def lists(book, *names):
    for name in names:
        (book.root / name).parent.mkdir(parents=True, exist_ok=True)
        (book.root / name).write_text("a.mp4 0\n")


@pytest.mark.parametrize(
    "first, second, shown",
    [
        ("my_cats/train.csv", "my_dogs/train.csv", "train=my_{}/train.csv"),
        ("{}/my/train.csv", "{}/my/train.csv", "train={}/my/train.csv"),
    ],
)
def test_lists_of_the_same_name_are_told_apart(book, first, second, shown):
    paths = first.format("cats"), second.format("dogs")
    lists(book, *paths)
    for path in paths:
        finished("30", {"top1": 0.5}, train=path)
    runs = {line["run"] for line in board.aggregate(board.rows("30"))}
    assert runs == {f"tiny, {shown.format(kind)}" for kind in ("cats", "dogs")}


def test_a_result_of_a_list_that_has_changed_since_says_so(book):
    lists(book, "mine/train.csv")
    folder = finished("30", {"top1": 0.5}, train="mine/train.csv")
    provenance.record(folder, Spec.of("30"), run_folder.read_params(folder))
    (line,) = board.aggregate(board.rows("30"))
    assert line["run"] == "tiny, train=mine/train.csv"
    (book.root / "mine/train.csv").write_text("a.mp4 1\n")
    (line,) = board.aggregate(board.rows("30"))
    assert line["run"] == "tiny, train=mine/train.csv (stale)"


def test_encoders_of_the_same_preset_are_told_apart(book):
    for lr in (0.3, 0.4):
        finished("30", {"top1": 0.5}, encoder=str(finished("10", {"loss": 1.0}, lr=lr)))
    runs = [line["run"] for line in board.aggregate(board.rows("30"))]
    assert sorted(runs) == ["tiny, encoder=10/tiny:lr=0.3", "tiny, encoder=10/tiny:lr=0.4"]


def test_a_sweep_of_ones_own_and_custom_values_say_what_they_are(book):
    file = book.root / "my_sweep.yaml"
    file.write_text("grid:\n  lr: [0.2, 0.4]\n")
    for job in run.jobs("30", str(file)):
        run_folder.write_params(job.folder, job.values)
        files.write_json(job.folder / "metrics.json", {"top1": 0.5, "notebook": "10_stage", "preset": "tiny"})
    values = run.jobs("30")[0].values | {"lr": 0.7}
    run_folder.write_params(book.root / "outputs/30_task/custom-12345678", values)
    files.write_json(
        book.root / "outputs/30_task/custom-12345678/metrics.json",
        {"top1": 0.5, "notebook": "30_task", "preset": "custom"},
    )
    runs = {line["run"] for line in board.aggregate(board.rows("30"))}
    assert runs == {"my_sweep, lr=0.2", "my_sweep, lr=0.4", "custom, lr=0.7"}


def test_how_a_run_was_computed_is_no_difference(book):
    book.notebook("31_task", parameters=TASK + "num_workers: int = 0  # processes\n")
    first = finished("31", {"top1": 0.5}, seed=1)
    run_folder.write_params(first, run_folder.read_params(first) | {"num_workers": 8})
    finished("31", {"top1": 0.6})
    (line,) = board.aggregate(board.rows("31"))
    assert (line["run"], line["seeds"]) == ("tiny", 2)


@pytest.mark.parametrize("text", ["", "\x00\x81", "[1]", '"x"', "{"])
@pytest.mark.parametrize("file", ["metrics.json", "params.yaml", "error.json"])
def test_a_damaged_run_takes_no_other_along(book, capsys, file, text):
    whole, damaged = finished("30", {"top1": 0.5}), finished("30", {"top1": 0.7}, lr=0.7)
    if file == "error.json":
        (damaged / "metrics.json").unlink()
    (damaged / file).write_text(text)
    for command in ("board", "report", "list"):
        assert book.iv(command) == 0
    said = "".join(capsys.readouterr())
    assert damaged.name in said or "lr=0.7" in said
    assert [line["top1"] for line in board.aggregate(board.rows())] == ["0.5"] and whole.is_dir()


@pytest.mark.parametrize("odd", [{}, {"wall_seconds": "x"}, {"top1": {"a": 1}, "data": [1], "headline": 3}])
def test_a_result_that_somebody_else_wrote_is_shown_as_it_is(book, odd):
    folder = finished("30", {"top1": 0.5})
    files.write_json(folder / "metrics.json", odd | {"notebook": "30_task", "preset": "tiny"})
    assert book.iv("board") == 0 and book.iv("report") == 0


def test_failed_tries_do_not_fill_the_terminal(book, capsys, narrow):
    for lr in range(9):
        job = run.jobs("30", "tiny", {"lr": str(lr + 1)})[0]
        run_folder.write_params(job.folder, job.values)
    assert book.iv("board") == 0
    said = capsys.readouterr().out
    assert said.count("lr=") == 5 and "… and 4 older: iv board --all" in said
    assert book.iv("board", "--all") == 0
    assert capsys.readouterr().out.count("lr=") == 9


def test_a_failed_try_is_forgotten_when_its_preset_has_come_to_a_result(book, capsys):
    job = run.jobs("30", "tiny", {"lr": "0.7"})[0]
    run_folder.write_params(job.folder, job.values)
    os.utime(job.folder, (1, 1))
    finished("30", {"top1": 0.5})
    assert board.unfinished() == [] and [line["run"] for line in board.unfinished(every=True)] == ["tiny, lr=0.7"]
    assert book.iv("board", "--all") == 0 and "lr=0.7" in capsys.readouterr().out


def test_a_run_of_a_sweep_that_failed_stays_listed(book):
    book.preset("30_task", "sweep_lr", "grid:\n  lr: [0.2, 0.4]\n")
    failed, other = run.jobs("30", "sweep_lr")
    run_folder.write_params(failed.folder, failed.values)
    os.utime(failed.folder, (1, 1))
    run_folder.write_params(other.folder, other.values)
    files.write_json(other.folder / "metrics.json", {"top1": 0.5, "notebook": "30_task", "preset": "sweep_lr"})
    assert [line["run"] for line in board.unfinished()] == ["sweep_lr, lr=0.2"]


def test_names_stay_on_one_line_and_leave_room_for_the_headline(book, capsys, narrow):
    metrics = {"top1_coordinated": 0.9, "top1_ensemble": 0.8, "headline": ["top1_coordinated", "top1_ensemble"]}
    for seed in (0, 1):
        path = f"a_folder_with_a_very_long_name_{seed}/another_one_below_it/train_and_more.csv"
        lists(book, path)
        finished("30", metrics, train=path, lr=0.25)
    assert book.iv("board", "30") == 0
    _, head, _, *lines = capsys.readouterr().out.splitlines()[:5]
    assert head.split()[:2] == ["run", "top1_coordinated"] and all("…" in line and "0.9" in line for line in lines)
    assert len({line.split()[0] for line in lines}) == 2 and max(map(len, (head, *lines))) <= 100


def test_what_all_lines_share_stands_above_them_once(book, capsys):
    finished("30", {"top1": 0.5})
    finished("30", {"top1": 0.6}, lr=0.3)
    assert book.iv("board", "30") == 0
    heading, head, *_ = capsys.readouterr().out.splitlines()
    assert heading == "30_task · moving shapes (generated)" and head.split() == ["run", "top1", "time"]


def test_moved_outputs_differ_in_nothing(book, monkeypatch):
    book.notebook("31_task", parameters='encoder: str = "10/tiny"  # what to start from; encoder\n')
    finished("31", {"top1": 0.5}, encoder=str(finished("10", {"loss": 1.0})))
    (book.root / "outputs").rename(book.root / "elsewhere")
    monkeypatch.setenv("IVCORE_OUTPUTS", str(book.root / "elsewhere"))
    assert [row.name for row in board.rows("31")] == ["tiny"]


def test_an_empty_board_says_what_to_type(book, capsys):
    assert book.iv("board") == 0
    assert "iv run 10 tiny" in capsys.readouterr().out
    assert book.iv("board", "30") == 0
    assert "iv run 30 tiny" in capsys.readouterr().out


def test_results_of_a_notebook_that_has_gone_stay(book):
    finished("30", {"top1": 0.5})
    (book.root / "notebooks/30_task.ipynb").unlink()
    (line,) = board.aggregate(board.rows())
    assert line["top1"] == "0.5"


def test_every_notebook_that_measures_says_what_it_is_about():
    measuring = [path for path in notebook.every() if path.stem[0] in "123"]
    finishing = ["".join(notebook.source(cell) for cell in notebook.cells(path)) for path in measuring]
    assert measuring and all("headline=" in text.split("run.finish(")[1] for text in finishing)
