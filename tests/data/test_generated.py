import dataclasses
import os
import textwrap

import pytest

from ivcore.data import generated
from ivcore.errors import ParameterError


@dataclasses.dataclass
class Set:
    size: float = 16
    seed: float = 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": 15}, "size=15: must be a whole number from 16, even"),
        ({"size": 17}, "size=17: must be a whole number from 16, even"),
        ({"size": 16.5}, "size=16.5: must be a whole number from 16, even"),
        ({"seed": -1}, "seed=-1: must be a whole number from 0"),
    ],
)
def test_sizes_are_whole_and_large_enough(fields, said):
    generated.require_whole(Set(), {"size": 16, "seed": 0})
    with pytest.raises(ParameterError) as raised:
        generated.require_whole(Set(**fields), {"size": 16, "seed": 0})
    assert str(raised.value) == said


def test_missing_files_and_leftovers(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").touch()
    (tmp_path / "videos/.b.mp4.12.tmp").touch()
    assert generated.missing(tmp_path, ["videos/a.mp4", "videos/b.mp4", "videos/c.mp4"]) == [1, 2]
    assert [path.name for path in tmp_path.glob("videos/*")] == ["a.mp4"]


WORKER = """
import os

def make(fields, folder, todo):
    for number in todo:
        if number == fields["seed"]:
            raise OSError("the disk is full")
        (folder / f"{number}.txt").write_text(os.environ["OMP_NUM_THREADS"] + os.environ["DRAWS"])
        yield
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    (tmp_path / "a_worker.py").write_text(textwrap.dedent(WORKER))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return lambda seed: generated.make_in_processes(
        "a_worker", Set(seed=seed), tmp_path, list(range(5)), 2, 5, "file", DRAWS="x"
    )


def test_workers_share_what_is_to_be_made(worker, tmp_path):
    worker(seed=-1)
    assert {path.name: path.read_text() for path in tmp_path.glob("*.txt")} == {f"{n}.txt": "1x" for n in range(5)}


def test_a_worker_that_fails_is_told_and_the_others_finish(worker, tmp_path, capfd):
    with pytest.raises(RuntimeError, match="rendering failed, see the messages of the worker above"):
        worker(seed=4)
    assert "OSError: the disk is full" in capfd.readouterr().err
    assert {path.name for path in tmp_path.glob("*.txt")} == {f"{n}.txt" for n in range(4)}
