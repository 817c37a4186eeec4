"""The job that `iv submit` makes of a file of facts about a cluster; tests/test_workflow.py sends one through a real Slurm."""

import subprocess

import pytest
from workbook import Workbook

from ivcore.errors import UserError
from ivcore.run import submit_command


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage")
    return made


def test_a_job_on_two_nodes(book, capfd):
    facts = book.root / "ours.yaml"
    facts.write_text(
        'nodes: 2\ngpus_per_node: 4\npartition: gpu\nsetup: ["module load x"]\nsbatch: ["--constraint=a100"]\nnetwork: ib0\n'
    )
    assert book.iv("submit", "10", "--cluster", facts, "-p", "seed=3", "-p", "minutes=30", "--dry") == 0
    job = capfd.readouterr().out
    head = [line.removeprefix("#SBATCH ") for line in job.splitlines() if line.startswith("#SBATCH")]
    assert {
        "--nodes=2",
        "--gpus-per-node=4",
        "--time=30",
        "--partition=gpu",
        "--constraint=a100",
        "--requeue",
        "--ntasks-per-node=1",
    } <= {*head}
    assert not [option for option in head if option.endswith("=")]
    assert "--nproc-per-node 4" in job and "-m ivcore.run 10 tiny -p seed=3 --wait" in job
    assert "\nmodule load x\n" in job and "NCCL_SOCKET_IFNAME=ib0" in job and "nodes=" not in job.split("set -u")[1]
    assert subprocess.run(["bash", "-n"], input=job, text=True).returncode == 0
    assert not (book.root / "outputs").exists()


@pytest.mark.parametrize(
    "words, says",
    [
        (("--cluster", "nowhere.yaml"), "workflow/cluster.yaml is an example"),
        (("-p", "nodes=0"), "nodes=0: must be in [1, 65535]"),
        (("-p", "nodes=many"), "a cluster has: nodes, "),
        (("-p", "minutes=1", "-p", "seconds_to_save=60"), "must be less than minutes=1"),
        (("-p", "lr=fast"), "lr = 'fast': expected float"),
    ],
)
def test_a_mistake_costs_one_line_and_submits_nothing(book, capfd, words, says):
    assert book.iv("submit", "10", *words) == 2
    line = capfd.readouterr().err
    assert says in line and line.count("\n") == 1


def test_the_file_to_begin_with_has_every_fact_and_its_default():
    file = submit_command.paths.ROOT / "workflow/cluster.yaml"
    assert submit_command.read(str(file), []) == submit_command.Cluster()
    words = file.read_text()
    assert [line.split(":")[0] for line in words.splitlines() if line[0] != "#"] == [
        each.name for each in submit_command.fields(submit_command.Cluster)
    ]


def test_an_unknown_fact_is_refused(tmp_path):
    (tmp_path / "odd.yaml").write_text("node: 2\n")
    with pytest.raises(UserError, match=r"'node'.*a cluster has: nodes"):
        submit_command.read(str(tmp_path / "odd.yaml"), [])
