"""The graph of runs: edges from the presets, sweeps as one node a run, who may run beside whom."""

import pytest
from workbook import Workbook

from ivcore import files, paths
from ivcore.errors import ParameterError
from ivcore.run import cli, graph
from ivcore.run import execute as run
from ivcore.run.spec import Spec

TASK = """\
seed: int = 0  # of every generator
lr: float = 0.1  # peak
num_clips: int = 60  # how many of the moving shapes
train_csv: str = ""  # training clips; file kinetics_csv
source: str = "shapes"  # of the videos; one of shapes, metaworld
masked_encoder: str = "10/tiny"  # what to start from; encoder
second_encoder: str = ""  # another one; encoder
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage")
    made.notebook("12_again", parameters=TASK)
    made.notebook("30_task", parameters=TASK.replace("10/tiny", "12/tiny"))
    made.preset("30_task", "scratch", "masked_encoder: scratch\n")
    made.preset("30_task", "both", "second_encoder: 10/tiny\n")
    made.preset("30_task", "sweep_lr", "grid:\n  lr: [0.1, 0.2]\n")
    (tmp_path / "some.csv").write_text("a.mp4 0\n")
    return made


def names(nodes):
    return [node.name for node in nodes]


def done(node):
    node.folder.mkdir(parents=True, exist_ok=True)
    files.write_json(node.metrics, {"loss": 1, "notebook": node.notebook.stem, "preset": "tiny"})


def test_needed_runs_come_once_and_before_the_run_that_needs_them(book):
    nodes = graph.collect(["30 both", "30 tiny", "30 scratch", "10 tiny"])
    assert names(nodes) == ["10 tiny", "12 tiny", "30 both", "30 tiny", "30 scratch"]
    ten, again, both, tiny, scratch = nodes
    assert again.needs == (ten.folder,) and both.needs == (again.folder, ten.folder)
    assert tiny.needs == (again.folder,) and scratch.needs == ()


def test_a_run_with_other_parameters_is_brought_along(book):
    book.preset("30_task", "other", "masked_encoder: 12/tiny:seed=1,lr=0.2\nsecond_encoder: 12/tiny\n")
    ten, seed1, tiny, other = graph.collect(["30 other"])
    assert names([ten, seed1, tiny, other]) == ["10 tiny", "12 tiny seed=1 lr=0.2", "12 tiny", "30 other"]
    assert other.needs == (seed1.folder, tiny.folder) and seed1.needs == (ten.folder,)
    assert seed1.command == "12 tiny -p seed=1 -p lr=0.2" and seed1.rule == f"12_tiny_{seed1.digest}"
    assert run.jobs("12", "tiny", {"seed": "1", "lr": "0.2"})[0].folder == seed1.folder


def test_a_run_is_in_the_folder_that_iv_run_takes(book):
    for node in graph.collect(["30 sweep_lr", "30 both"]):
        words = node.command.split()
        jobs = [job for job in run.jobs(*words[:2]) if words[3:] in ([], [Spec.of("30").digest(job.values)])]
        assert [job.folder for job in jobs[-1:]] == [node.folder]


def test_a_sweep_is_a_node_a_run_and_shares_those_of_other_presets(book):
    nodes = graph.collect(["30 tiny", "30 sweep_lr"])
    assert names(nodes)[:3] == ["10 tiny", "12 tiny", "30 tiny"]  # lr 0.1 is tiny itself
    (other,) = nodes[3:]
    assert other.command == f"30 sweep_lr --only {other.digest}"


def test_only_picks_one_run_of_a_sweep(book, capsys):
    digest = graph.collect(["30 sweep_lr"])[-1].digest
    assert book.iv("run", "30", "sweep_lr", "--only", digest, "--dry") == 0
    said = capsys.readouterr().out
    assert digest in said and said.count("sweep_lr-") == 1
    assert book.iv("run", "30", "sweep_lr", "--only", "nothing0") == 2
    assert "--only nothing0" in capsys.readouterr().err


def test_a_parameter_moves_what_depends_on_it_and_nothing_else(book):
    before = {node.name: node.folder for node in graph.collect(["30 tiny", "30 scratch"])}
    book.preset("12_again", "tiny", "lr: 0.7\n")
    after = {node.name: node.folder for node in graph.collect(["30 tiny", "30 scratch"])}
    assert {name for name in before if before[name] != after[name]} == {"12 tiny", "30 tiny"}


def test_videos_are_shapes_only_where_no_file_is_given(book):
    book.preset("30_task", "mine", "train_csv: some.csv\n")
    book.preset("30_task", "robots", "source: metaworld\n")
    clips = {node.name: node.num_clips for node in graph.collect(["30 tiny", "30 mine", "30 robots"])}
    assert clips == {"10 tiny": None, "12 tiny": 60, "30 tiny": 60, "30 mine": None, "30 robots": None}
    folder, marks = graph.shapes(60, ["clips", "qa"])
    assert folder.parent == paths.cache() and [mark.name for mark in marks] == ["clips.complete", "qa.complete"]


def test_cores_are_shared_by_the_unfinished_runs_of_a_step(book):
    nodes = graph.collect(["30 tiny", "30 scratch"])
    ten, again, tiny, scratch = (node.folder for node in nodes)
    assert graph.threads(nodes, 2) == {ten: 1, scratch: 1, again: 2, tiny: 2}
    assert set(graph.threads(nodes, 1).values()) == {1}
    done(nodes[3])
    assert graph.threads(nodes, 2)[ten] == 2


def test_runs_that_most_others_need_weigh_most(book):
    nodes = graph.collect(["30 tiny", "30 both", "30 scratch"])
    by_name = {node.name: graph.weights(nodes)[node.folder] for node in nodes}
    assert by_name == {"10 tiny": 3, "12 tiny": 2, "30 tiny": 0, "30 both": 0, "30 scratch": 0}


def test_an_unfinished_run_says_why(book):
    nodes = graph.collect(["30 tiny", "30 scratch"])
    nodes[0].folder.mkdir(parents=True)
    error = {"kind": "failed", "exception": "ValueError", "message": "no\nmore"}
    files.write_json(nodes[0].folder / "error.json", error)
    done(nodes[3])
    first, second, third = graph.unfinished(nodes)
    assert first.startswith("10 tiny: failed: ValueError: no (outputs/10_stage/tiny-") and first.endswith("error.json)")
    assert (second, third) == ("12 tiny: not run, it needs 10 tiny", "30 tiny: not run, it needs 12 tiny")


@pytest.mark.parametrize(
    "ends, says",
    [(["30"], 'expected "notebook preset"'), (["30 tinny"], "did you mean tiny"), (["31 tiny"], "no notebook '31'")],
)
def test_a_line_that_does_not_read_is_named(book, ends, says):
    with pytest.raises(ParameterError, match=says) as raised:
        graph.collect(ends)
    assert ends[0] in str(raised.value)


@pytest.mark.parametrize("text", ["recipe: [10 tiny]\n", "graphs: [10 tiny]\n", "graphs: {a: [}\n", ""])
def test_a_table_that_is_none_is_refused(book, text):
    (book.root / "workflow").mkdir()
    (book.root / "workflow/stages.yaml").write_text(text)
    with pytest.raises(ParameterError, match=r"workflow/stages\.yaml"):
        graph.stages()


def test_the_command_shows_the_graph(book, capsys):
    (book.root / "workflow").mkdir()
    (book.root / "workflow/stages.yaml").write_text("graphs:\n  recipe: [30 tiny]\n")
    assert book.iv("graph") == 0
    said = capsys.readouterr().out
    assert said.index("10 tiny") < said.index("30 tiny") and "12 tiny  new" in said
    assert book.iv("graph", "recipes") == 2
    assert "did you mean recipe?" in capsys.readouterr().err


def test_the_real_table_reads():
    table = graph.stages()
    assert {"recipe", "ablations"} <= set(table["graphs"])
    for name in table["graphs"]:
        assert graph.collect(graph.lines(name, table))
    assert graph.collect([table["leaderboard"]])
    assert cli.main(["graph", "quick"]) == 0
