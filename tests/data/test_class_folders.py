"""Folders and lists as people have them."""

import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.data import class_folders, divide, formats
from ivcore.data.formats.named import read_named_list
from ivcore.data.labels.sets import united_sets
from ivcore.errors import FormatError, UserError
from ivcore.video.probe import Probe


def make(folder, *files):
    for number, file in enumerate(files):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{file} {number}".encode())
    return folder


def names_of(place):
    return {os.path.basename(path): name for path, name in class_folders.read(place).videos.items()}


def test_the_class_is_the_folder_below_however_deep_the_file_lies(tmp_path):
    make(tmp_path, "Jump High/a.mp4", "Jump High/more/deep/b.MOV", "wave/c.avi", "wave/.hidden.mp4", "wave/._c.avi")
    assert names_of(tmp_path) == {"a.mp4": "Jump High", "b.MOV": "Jump High", "c.avi": "wave"}


def test_what_is_no_video_is_counted_by_its_ending(tmp_path):
    make(tmp_path, "a/1.mp4", "b/2.mp4", "a/notes.txt", "b/x.jpg", "b/y.jpg", "b/README", "c/empty.txt", "loose.mp4")
    notes = class_folders.read(tmp_path).notes
    assert "5 files left out, by their ending no videos: 2 .jpg, 2 .txt, 1 none" in notes
    assert "1 folder without a video, which makes no class, such as 'c'" in notes
    assert "1 video left out, in no class's folder, such as 'loose.mp4'" in notes


def test_links_are_followed_and_a_circle_of_them_ends(tmp_path):
    make(tmp_path / "elsewhere", "far.mp4")
    make(tmp_path / "set", "a/1.mp4", "b/2.mp4")
    (tmp_path / "set/a/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/a/round").symlink_to(tmp_path / "set/a")
    (tmp_path / "set/c").symlink_to(tmp_path / "set/b")
    assert names_of(tmp_path / "set")["far.mp4"] == "a"
    assert {"1.mp4", "2.mp4", "far.mp4"} == names_of(tmp_path / "set").keys()


def test_links_to_the_place_itself_or_above_make_no_class(tmp_path):
    make(tmp_path / "above/set", "a/1.mp4", "b/2.mp4")
    make(tmp_path / "above", "other/3.mp4")
    (tmp_path / "above/set/itself").symlink_to(tmp_path / "above/set")
    (tmp_path / "above/set/up").symlink_to(tmp_path / "above")
    assert names_of(tmp_path / "above/set") == {"1.mp4": "a", "2.mp4": "b"}


def test_names_that_no_list_can_hold_are_told_also_where_too_little_is_left(tmp_path):
    make(tmp_path, "a/1.mp4", "line\nend/2.mp4", "  /3.mp4")
    with pytest.raises(UserError, match=r"one class only, 'a'.*\(2 files left out, whose names no list can hold"):
        class_folders.read(tmp_path)


def test_names_that_differ_in_case_blanks_or_composition_alone_are_one_class(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    make(tmp_path, "Jump_High/a.mp4", "jump high/b.mp4", "jump high/c.mp4", f"{composed}/d.mp4", f"{apart}/e.mp4")
    labelled = class_folders.read(tmp_path)
    assert labelled.classes == [composed, "jump high"]
    assert "classes 'Jump_High' and 'jump high' are one: 'jump high'" in labelled.notes


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["only/a/1.mp4", "only/b/2.mp4"], r"one class only, 'only'.*give .*only"),
        (["train/a/1.mp4", "test/a/2.mp4"], "parts and not classes"),
        (["1.mp4", "2.mp4"], "2 videos in no folder"),
        (["train.csv", "videos.zip"], r"give its list: .*train.csv"),
        (["a/1.txt"], "no folder in it has a video"),
        ([], "no folder in it has a video"),
    ],
)
def test_a_folder_that_is_none_of_classes_costs_one_line(tmp_path, files, words):
    with pytest.raises(UserError, match=words):
        class_folders.read(make(tmp_path, *files))


def test_no_such_place(tmp_path):
    with pytest.raises(UserError, match="no such folder or list"):
        class_folders.read(tmp_path / "nowhere")


# ---- lists


def test_lists_with_names_numbers_headers_quotes_and_blanks(tmp_path):
    make(tmp_path, "a b.mp4", "c,d.mp4", "e.mp4", "f.mp4")
    rows = ["path,label", "a b.mp4,jump high", '"c,d.mp4","wave, twice"', "e.mp4 wave", "f.mp4\tjump high"]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    read = [(os.path.basename(row.path), row.name) for row in read_named_list(tmp_path / "mine.csv")]
    assert read == [("a b.mp4", "jump high"), ("c,d.mp4", "wave, twice"), ("e.mp4", "wave"), ("f.mp4", "jump high")]


def test_numbers_are_named_by_the_file_beside_the_list(tmp_path):
    make(tmp_path, "a b.mp4", "c.mp4")
    (tmp_path / "mine.csv").write_text("a b.mp4 1\nc.mp4,0\n")
    assert names_of(tmp_path / "mine.csv") == {"a b.mp4": "1", "c.mp4": "0"}
    (tmp_path / "classes.txt").write_text("wave\njump\n")
    assert names_of(tmp_path / "mine.csv") == {"a b.mp4": "jump", "c.mp4": "wave"}
    (tmp_path / "classes.txt").write_text("wave\n")
    with pytest.raises(UserError, match=r"1 names, but .* has the label '1'"):
        class_folders.read(tmp_path / "mine.csv")
    (tmp_path / "mine.csv").write_text(f"a b.mp4,{'9' * 5000}\nc.mp4,0\n")
    with pytest.raises(UserError, match=r"has the label '999"):
        class_folders.read(tmp_path / "mine.csv")


def test_a_row_that_does_not_read_names_its_line(tmp_path):
    (tmp_path / "mine.csv").write_text("path,label\na.mp4,jump\nb.mp4,jump,extra\n")
    with pytest.raises(FormatError, match=r"mine.csv:3: expected `path,label`"):
        class_folders.read(tmp_path / "mine.csv")


def test_lists_of_other_parts_beside_it_are_not_read_and_that_is_said(tmp_path):
    make(tmp_path, "a.mp4", "b.mp4", "val.csv")
    (tmp_path / "train.csv").write_text("a.mp4,jump\nb.mp4,wave\n")
    assert class_folders.read(tmp_path / "train.csv").notes == [
        "val.csv beside it are not read: the parts are made of this list alone"
    ]


def test_a_single_class_folder_is_refused_and_its_parent_named(tmp_path):
    make(tmp_path, "jump/a.mp4", "wave/b.mp4")
    with pytest.raises(
        UserError, match="1 video in no folder; if 'jump' is a class, give the folder above: " + str(tmp_path)
    ):
        class_folders.read(tmp_path / "jump")


def test_missing_files_and_two_labels_for_one(tmp_path):
    make(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "mine.csv").write_text("a.mp4,jump\nb.mp4,wave\nno\x1b[31mne.mp4,wave\n")
    (note,) = class_folders.read(tmp_path / "mine.csv").notes
    assert "1 file of the list left out, not there" in note and note.isprintable()
    (tmp_path / "mine.csv").write_text("a.mp4,jump\nb.mp4,wave\na.mp4,wave\n")
    with pytest.raises(UserError, match="is listed as 'jump' and as 'wave'"):
        class_folders.read(tmp_path / "mine.csv")


# ---- from there to lists that notebooks read


def test_copies_are_kept_once_and_what_is_in_two_classes_never(tmp_path):
    make(tmp_path, *(f"{name}/{i}.mp4" for name in ("a", "b") for i in range(6)))
    (tmp_path / "a/again.mp4").write_bytes((tmp_path / "a/0.mp4").read_bytes())
    (tmp_path / "a/link.mp4").symlink_to(tmp_path / "a/1.mp4")
    (tmp_path / "b/torn.mp4").write_bytes((tmp_path / "a/2.mp4").read_bytes())
    labelled = class_folders.read(tmp_path)
    divided = divide.divide(labelled, {str(tmp_path / "b/5.mp4"): Probe("unreadable", "no video in it")})
    kept = [os.path.relpath(video.path, tmp_path) for some in divided.parts.values() for video in some]
    assert sorted(kept) == ["a/0.mp4", "a/1.mp4", "a/3.mp4", "a/4.mp4", "a/5.mp4", *(f"b/{i}.mp4" for i in range(5))]
    assert divided.notes[0].endswith("b/5.mp4: no video in it") and "1 file left out" in divided.notes[0]
    assert divided.notes[1].startswith("2 copies of videos left out")
    assert divided.notes[2].startswith("2 files left out that show one video in two classes")


def test_a_class_that_loses_all_its_videos_is_no_class(tmp_path):
    make(tmp_path, *(f"{name}/{i}.mp4" for name in ("a", "b") for i in range(4)), "gone/1.mp4")
    divided = divide.divide(class_folders.read(tmp_path), {str(tmp_path / "gone/1.mp4"): Probe("unreadable", "empty")})
    assert divided.classes == ["a", "b"] and "1 class without a video left, such as 'gone'" in divided.notes
    with pytest.raises(UserError, match="1 classes are left"):
        bad = {str(tmp_path / f"{name}/{i}.mp4"): Probe("unreadable") for name in ("b", "gone") for i in range(4)}
        divide.divide(class_folders.read(tmp_path), bad | {str(tmp_path / "gone/1.mp4"): Probe("unreadable")})


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0\\"), min_size=1, max_size=12).filter(
            lambda name: name.strip(".") and not name.startswith((".", "__"))
        ),
        st.integers(3, 5),
        min_size=2,
        max_size=4,
    ),
    st.booleans(),
)
@settings(max_examples=15)
def test_label_sets_read_back_any_class_names(tmp_path_factory, classes, grouped):
    place, out = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("lists")
    if {name.lower() for name in classes} <= {"train", "val", "test", "valid", "validation", "training", "testing"}:
        return
    for name, count in classes.items():
        make(place, *(f"{name}/clip {i}.mp4" for i in range(count)))
    if grouped:
        first = sorted(classes)[0]
        (place / "groups.csv").write_text(f"{first}/clip 0.mp4 7\n{first}/clip 1.mp4 7\n") if first.isprintable() else 0
    try:
        labelled = class_folders.read(place)
        divided = divide.divide(labelled, {})
    except UserError:
        return
    divide.write(divided, out)
    sets = united_sets(str(out))
    assert sets.union.classes == divided.classes
    for part in ("train", "val", "test"):
        assert sorted(r.path for r in getattr(sets, part).records) == sorted(v.path for v in divided.parts[part])


@pytest.mark.parametrize("letter", ["\u202f", "\u00a0", "\u3000", "\u200d", "\ufeff", "é", "走"])
def test_letters_that_cannot_be_printed_can_be_listed(tmp_path, letter):
    for name in ("jump", "wave"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"at 10.11{letter}AM.mov").touch()
    labelled = class_folders.read(tmp_path)
    assert len(labelled.videos) == 2 and labelled.notes == []
    listed = tmp_path / "list.csv"
    formats.write_kinetics_csv(listed, [formats.LabelledVideo(path, 0) for path in labelled.videos])
    assert [video.path for video in formats.read_kinetics_csv(listed)] == list(labelled.videos)


def test_parts_beside_a_folder_without_videos_are_no_classes(tmp_path):
    for name in ("Train/jump/a.mp4", "Test_set/jump/b.mp4", "annotations/a.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="which are parts and not classes"):
        class_folders.read(tmp_path)


def test_folders_that_systems_make_are_no_classes(tmp_path):
    for name in ("jump/a.mp4", "jump/@eaDir/a.mp4/preview.mp4", "wave/b.mp4", "@eaDir/c.mp4", "#recycle/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(class_folders.read(tmp_path).videos.values()) == ["jump", "wave"]
