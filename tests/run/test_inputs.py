"""What a run has read of the user's files, and what of it is another by now."""

import pytest
from workbook import Workbook

from ivcore.run import provenance
from ivcore.run.spec import Spec

PARAMETERS = """\
train_csv: str = ""  # training clips; file kinetics_csv or metaworld
label_sets: str = ""  # sets; folder or metaworld
video_root: str = ""  # where videos lie; folder
weights: str = ""  # what to start from; encoder
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage", parameters=PARAMETERS)
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


def test_weights_are_inputs_and_large_files_are_sampled(book, monkeypatch):
    monkeypatch.setattr(provenance, "_WHOLE", 1000)
    monkeypatch.setattr(provenance, "_PIECE", 10)
    file = book.root / "model.safetensors"
    file.write_bytes(bytes(5000))
    folder = recorded(book, weights="model.safetensors")
    file.write_bytes(bytes(4999) + b"x")  # the last byte is always looked at
    assert provenance.changes(folder) == [
        "model.safetensors has changed (as long as before, with other content)"
    ]


def test_what_is_not_here_or_does_not_read_tells_nothing(book):
    folder = recorded(book, train_csv="mine/train.csv")
    (book.root / "mine").rename(
        book.root / "elsewhere"
    )  # a result that was copied to a machine without the data
    assert provenance.changes(folder) == []
    for text in ("", "[1]", '{"mine/train.csv": 3}'):
        (folder / provenance.INPUTS).write_text(text)
        assert provenance.changes(folder) == []
