"""What a run was made from, encoders and files of the user's: where it is another by now, the run begins afresh."""

import json

import pytest
from workbook import Workbook, read

from ivcore import files
from ivcore.run import board, provenance
from ivcore.run import folder as run_folder
from ivcore.run.spec import Spec


def finish(folder, loss, seconds=1.0):
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(
        folder / "metrics.json", {"loss": loss, "wall_seconds": seconds, "notebook": "10_stage", "preset": "tiny"}
    )


def began_from(folder, encoder):
    """A run that names its encoder, as the runner records it."""
    folder.mkdir(exist_ok=True)
    run_folder.write_params(folder, {"masked_encoder": str(encoder), "other": "scratch"})
    files.write_json(folder / provenance.ENCODERS, provenance.results({"masked_encoder": str(encoder)}))


def test_a_new_result_outdates_what_was_begun_from_the_old_one(tmp_path):
    mine = tmp_path / "mine"
    assert not provenance.changes(mine)  # nothing was begun
    finish(tmp_path / "up", 1.0)
    began_from(mine, tmp_path / "up")
    assert list(read(mine / provenance.ENCODERS)) == ["masked_encoder"]
    finish(tmp_path / "up", 1.0, seconds=2.0)  # written again, the same: resumed at its end, copied, or touched
    finish(mine, 0.5)
    assert not provenance.changes(mine) and provenance.is_current(mine) and provenance.state(mine) == "done"
    finish(tmp_path / "up", 1.1)
    (told,) = provenance.changes(mine)
    assert "has been made anew" in told and not provenance.is_current(mine) and provenance.state(mine) == "stale"


def started(folder, **values):
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text("".join(f"{name}: {value}\n" for name, value in values.items()))
    return str(folder)


def test_seeds_do_not_count_anywhere_on_the_way(tmp_path):
    first, second = (started(tmp_path / f"12/tiny-{seed}", seed=seed, lr=0.1) for seed in (0, 1))
    other = started(tmp_path / "12/tiny-2", seed=2, lr=0.2)
    runs = [{"encoder": each, "seed": seed, "run_dir": each} for seed, each in enumerate((first, second, other))]
    one, same, different = (board.apart_from_seeds(run) for run in runs)
    assert one == same == {"encoder": {"notebook": "12", "lr": 0.1}}
    assert different != one
    assert board.apart_from_seeds({"encoder": "hub/name", "mask": "a/b"}) == {"encoder": "hub/name", "mask": "a/b"}


def test_a_run_from_scratch_records_nothing(tmp_path, monkeypatch):
    book = Workbook(tmp_path, monkeypatch)
    book.notebook("30_task", parameters=PARAMETERS)
    provenance.record(tmp_path, Spec.of("30"), {"masked_encoder": "scratch"})
    assert not (tmp_path / provenance.ENCODERS).exists() and not provenance.changes(tmp_path)


PARAMETERS = 'masked_encoder: str = "10/tiny"  # start; encoder\n'
RESUMES = """\
step = run.checkpoints / "step.txt"
resumed = step.exists()
step.write_text("1")
run.finish({"resumed": resumed})
"""


@pytest.mark.slow
def test_the_runner_begins_afresh(tmp_path, monkeypatch, capfd):
    book = Workbook(tmp_path, monkeypatch)
    book.notebook("10_stage", "import time\nrun.finish({'loss': time.time()})")
    book.notebook("30_task", RESUMES, parameters=PARAMETERS)
    assert book.iv("run", "30") == 0
    metrics = book.folder("30_task") / "metrics.json"
    metrics.unlink()  # as after a kill: the checkpoint is there, the result is not
    assert book.iv("run", "30") == 0 and read(metrics)["resumed"] is True
    assert book.iv("run", "10", "--force") == 0
    metrics.unlink()
    assert book.iv("run", "30") == 0 and read(metrics)["resumed"] is False
    assert "made anew" in capfd.readouterr().out


LISTS = """\
train_csv: str = ""  # training clips; file kinetics_csv or generated set
label_sets: str = ""  # sets; folder or generated set
captions: str = ""  # sentences; file captions
video_root: str = ""  # where videos lie; folder
weights: str = ""  # what to start from; encoder
mixtures: list[str] = []  # to compare; generated set
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage", parameters=LISTS)
    for file in ("mine/train.csv", "sets/a/train.csv", "sets/a/test.csv", "sets/b/train.csv"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x.mp4 0\ny.mp4 1\n")
    return made


def recorded(book, **values):
    folder = book.root / "run"
    folder.mkdir(exist_ok=True)
    provenance.record(folder, Spec.of("10"), values)
    return folder


def test_generated_data_and_published_names_are_no_files(book):
    folder = recorded(book, train_csv="", label_sets="metaworld", weights="hub/model", video_root="")
    assert not (folder / provenance.INPUTS).exists() and provenance.changes(folder) == []


def test_a_run_on_the_hybrid_knows_its_sources(book, monkeypatch):
    monkeypatch.setattr(provenance, "parts", lambda name: {"shapes": "shapes-1", "camera": "camera-1"})
    folder = recorded(book, train_csv="hybrid", mixtures=["shapes", "hybrid:shapes+camera"])
    read = json.loads((folder / provenance.INPUTS).read_text())
    assert [read[name]["sources"]["camera"] for name in ("hybrid", "hybrid:shapes+camera")] == ["camera-1"] * 2
    assert provenance.changes(folder) == []
    monkeypatch.setattr(provenance, "parts", lambda name: {"shapes": "shapes-1"})
    assert provenance.changes(folder) == []  # what cannot be had here tells nothing
    monkeypatch.setattr(provenance, "parts", lambda name: {"shapes": "shapes-2", "figures": "figures-1"})
    assert provenance.changes(folder)[0] == "hybrid has other videos of shapes, figures"


@pytest.mark.parametrize(
    "text, told",
    [
        ("x.mp4 0\ny.mp4 1\nz.mp4 1\n", "mine/train.csv has changed (2 → 3 lines)"),
        ("x.mp4 0\ny.mp4 10\n", "mine/train.csv has changed (16 → 17 bytes)"),
        ("x.mp4 1\ny.mp4 1\n", "mine/train.csv has changed (as long as before, with other content)"),
    ],
)
def test_an_edited_list_is_named(book, text, told):
    folder = recorded(book, train_csv="mine/train.csv")
    (book.root / "mine/train.csv").write_text("x.mp4 0\ny.mp4 1\n")  # written again, the same
    assert provenance.changes(folder) == []
    (book.root / "mine/train.csv").write_text(text)
    assert provenance.changes(folder) == [told]


def test_class_names_belong_to_a_list(book):
    folder = recorded(book, train_csv="mine/train.csv")
    (book.root / "mine/classes.txt").write_text("jump\nwave\n")
    assert provenance.changes(folder) == ["mine/classes.txt is new"]


def test_all_lists_of_label_sets_count_and_videos_do_not(book):
    folder = recorded(book, label_sets="sets", video_root="mine")
    (book.root / "mine/x.mp4").write_bytes(b"x")
    assert provenance.changes(folder) == []
    (book.root / "sets/b/train.csv").write_text("x.mp4 0\n")
    (book.root / "sets/a/test.csv").unlink()
    (book.root / "sets/motion_classes.txt").write_text("jump\n")
    assert sorted(provenance.changes(folder)) == [
        "sets/a/test.csv is gone", "sets/b/train.csv has changed (2 → 1 lines)", "sets/motion_classes.txt is new"
    ]  # fmt: skip


def test_a_list_that_merely_lies_beside_the_videos_is_no_input(book):
    for file in ("videos/train.csv", "videos/jump/train.csv", "videos/groups.csv", "videos/classes.txt"):
        (book.root / file).parent.mkdir(parents=True, exist_ok=True)
        (book.root / file).write_text("x.mp4 0\n")
    folder = recorded(book, label_sets="sets", video_root="videos")
    for file in (
        "videos/train.csv",
        "videos/jump/train.csv",
        "videos/groups.csv",
        "sets/train.txt",
        "sets/a/notes.csv",
    ):
        with open(book.root / file, "a") as opened:
            opened.write("y.mp4 1\n")
    (book.root / "videos/val.csv").write_text("z.mp4 0\n")
    (book.root / "sets/val.csv").write_text("z.mp4 0\n")  # of no set
    assert provenance.changes(folder) == []
    (book.root / "sets/a/train.csv").write_text("x.mp4 0\n")
    assert provenance.changes(folder) == ["sets/a/train.csv has changed (2 → 1 lines)"]


def test_only_files_read_with_a_list_count_among_its_neighbours(book):
    made = book.root / "mine"
    (made / "sentences.json").write_text("[]")
    folder = recorded(book, captions="mine/sentences.json")
    (made / "classes.txt").write_text("jump\n")  # of train.csv
    assert provenance.changes(folder) == []
    (made / "groups.csv").write_text("x.mp4 0\n")
    assert provenance.changes(folder) == ["mine/groups.csv is new"]


def test_weights_are_inputs_and_large_files_are_sampled(book, monkeypatch):
    monkeypatch.setattr(provenance, "_WHOLE", 1000)
    monkeypatch.setattr(provenance, "_PIECE", 10)
    file = book.root / "model.safetensors"
    file.write_bytes(bytes(5000))
    folder = recorded(book, weights="model.safetensors")
    file.write_bytes(bytes(4999) + b"x")  # the last byte is always looked at
    assert provenance.changes(folder) == ["model.safetensors has changed (as long as before, with other content)"]


def test_missing_or_unreadable_records_report_no_change(book):
    folder = recorded(book, train_csv="mine/train.csv")
    (book.root / "mine").rename(book.root / "elsewhere")  # a result that was copied to a machine without the data
    assert provenance.changes(folder) == []
    for text in ("", "[1]", '{"mine/train.csv": 3}', '{"mine/train.csv": {"kind": "folder"}}'):
        (folder / provenance.INPUTS).write_text(text)
        assert provenance.changes(folder) == []
