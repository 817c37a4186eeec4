"""No video is in two splits, whatever lists a user gives; what is left out is counted and said."""

import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.data import splits
from ivcore.data.formats import LabelledVideo
from ivcore.data.identity import video_keys, youtube_id
from ivcore.data.videos import video_splits
from ivcore.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Files of different contents, 10 each of 3 classes, and a list of them sorted by class."""
    for label in range(3):
        (tmp_path / f"class{label}").mkdir()
        for n in range(10):
            (tmp_path / f"class{label}/{n}.mp4").write_bytes(bytes([label, n]) * (50 + n))
    listed = "".join(f"class{label}/{n}.mp4 {label}\n" for label in range(3) for n in range(10))
    (tmp_path / "train.csv").write_text(listed)
    return tmp_path


def lists(folder, **given):
    return {name: str(folder / file) if file else "" for name, file in given.items()}


def paths_of(videos):
    return {record.path for record in videos.records}


def test_a_list_that_is_not_given_is_held_out_by_video_and_said(folder, capsys):
    train, val, test = video_splits(lists(folder, train="train.csv", val="", test=""))
    parts = [paths_of(each) for each in (train, val, test)]
    assert sum(map(len, parts)) == 30 == len(set().union(*parts))
    assert [sorted({r.label for r in each.records}) for each in (train, val, test)] == [[0, 1, 2]] * 3
    assert len(parts[1]) == len(parts[2]) == 6
    told = capsys.readouterr().out
    assert "val: no list is given, 6 training videos are held out" in told and "test: no list is given" in told


def test_what_is_held_out_depends_on_names_alone(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("moved") / "here"
    shutil.copytree(folder, elsewhere)
    reverse = reversed((elsewhere / "train.csv").read_text().splitlines(True))
    (elsewhere / "train.csv").write_text("".join(reverse))
    one, other = (video_splits(lists(place, train="train.csv", test=""))[1] for place in (folder, elsewhere))
    inside = lambda videos, place: {os.path.relpath(path, place) for path in paths_of(videos)}  # noqa: E731
    assert inside(one, folder) == inside(other, elsewhere)


@pytest.mark.parametrize("as_test", ["itself", "copy of the list", "symbolic links", "hard links", "copied videos"])
def test_training_videos_that_are_tested_on_are_left_out(folder, as_test, capsys):
    """The same videos under whatever name."""
    few = [f"class{label}/{n}.mp4" for label in range(3) for n in range(2)]
    if as_test in ("itself", "copy of the list"):
        test = "train.csv" if as_test == "itself" else "copy.csv"
        shutil.copy(folder / "train.csv", folder / "copy.csv")
        with pytest.raises(UserError, match=r"train: no video is left .*30 videos are in test too"):
            video_splits(lists(folder, train="train.csv", test=test))
        return
    make = {"symbolic links": os.symlink, "hard links": os.link, "copied videos": shutil.copy}[as_test]
    for number, file in enumerate(few):
        make(folder / file, folder / f"other{number}.mp4")
    (folder / "test.csv").write_text("".join(f"other{i}.mp4 {i // 2}\n" for i in range(6)))
    train, test = video_splits(lists(folder, train="train.csv", test="test.csv"))
    assert (len(train), len(test)) == (24, 6)
    assert not {folder / file for file in few} & set(map(Path, paths_of(train)))
    assert "train: 6 videos are in test too and left out" in capsys.readouterr().out


def youtube_ids(count):
    """Names drawn as YouTube draws them."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return ["".join(random.Random(seed).choices(letters, k=11)) for seed in range(count)]


def test_clips_of_one_youtube_video_stay_in_one_split(tmp_path):
    names = [f"{clip}_{s:06d}_{s + 10:06d}.mp4" for clip in youtube_ids(10) for s in (0, 10, 20)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "train.csv").write_text("".join(f"{name} {i // 15}\n" for i, name in enumerate(names)))
    train, test = video_splits(lists(tmp_path, train="train.csv", test=""))
    ids = [{youtube_id(path) for path in paths_of(each)} for each in (train, test)]
    assert not ids[0] & ids[1] and len(test) >= 3 and len(test) % 3 == 0


@pytest.mark.parametrize("name", ["participant_{:02d}_0", "Video{:06d}", "Recording{:02d}", "walk_{:06d}", "{:011d}"])
def test_names_that_look_like_ids_by_chance_part_nothing(tmp_path, name):
    """Different files of the same names in the folders of the splits, as cameras and annotators give them."""
    for split, count in (("train", 12), ("val", 4), ("test", 4)):
        (tmp_path / split).mkdir()
        for i in range(count):
            (tmp_path / split / f"{name.format(i)}.mp4").write_bytes(f"{split} {i}".encode() * (i + 1))
        rows = "".join(f"{split}/{name.format(i)}.mp4 {i % 2}\n" for i in range(count))
        (tmp_path / f"{split}.csv").write_text(rows)
    given = lists(tmp_path, train="train.csv", val="val.csv", test="test.csv")
    assert [len(each) for each in video_splits(given)] == [12, 4, 4]


def test_missing_files_are_counted_and_too_many_refused(folder, tmp_path, capsys):
    for n in range(3):
        (folder / f"class1/{n}.mp4").unlink()
    with pytest.raises(UserError, match=r"3 of 30 videos cannot be read, more than max_bad=0.05, e.g. .*listed in"):
        video_splits(lists(folder, train="train.csv", test=""), run_dir=tmp_path / "run")
    assert len((tmp_path / "run/bad_videos.jsonl").read_text().splitlines()) == 3
    train, test = video_splits(lists(folder, train="train.csv", test=""), max_bad=0.2)
    assert len(train) + len(test) == 27 and train.missing == 3 and test.missing == 0
    assert "train: 3 of 30 files are not there and left out" in capsys.readouterr().out


def test_labels_that_training_lacks_are_said_and_chance_counts_what_occurs(folder, capsys):
    (folder / "train.csv").write_text("class0/0.mp4 1\nclass0/1.mp4 3\n")
    (folder / "test.csv").write_text("class1/0.mp4 3\nclass1/1.mp4 5\n")
    train, test = video_splits(lists(folder, train="train.csv", test="test.csv"))
    assert train.chance == 0.5 and len(train.classes) == len(test.classes) == 6
    told = capsys.readouterr().out
    assert "4 of 6 classes have no train video, such as 0" in told and "test: 1 of 2 videos are of such" in told


def test_class_names_that_are_too_few_are_refused(folder):
    (folder / "classes.txt").write_text("run\nsit\n")
    with pytest.raises(UserError, match=r"train.csv:21: label 2: .*classes.txt has 2 names, for labels 0 to 1"):
        video_splits(lists(folder, train="train.csv"))


def test_a_list_beside_a_generated_set_is_refused(folder):
    with pytest.raises(UserError, match="needs a list for train too"):
        video_splits({"train": "", "test": str(folder / "train.csv")}, train=60)


def test_the_smallest_sets(tmp_path):
    """Two videos, one a class: something is trained on and something tested on."""
    for n in range(2):
        (tmp_path / f"{n}.mp4").write_bytes(bytes(n + 1))
    (tmp_path / "train.csv").write_text("0.mp4 0\n1.mp4 1\n")
    assert [len(each) for each in video_splits(lists(tmp_path, train="train.csv", test=""))] == [1, 1]
    assert [len(each) for each in video_splits(lists(tmp_path, train="train.csv", val=""))] == [1, 1]
    with pytest.raises(UserError, match="val: no video is left"):
        video_splits(lists(tmp_path, train="train.csv", val="", test=""))


@settings(max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=3, max_size=60))
def test_every_part_gets_a_video_and_labels_only_take_back(labels):
    records = [LabelledVideo(f"v{i}.mp4", label) for i, label in enumerate(labels)]
    keys = {r.path: r.path for r in records}
    of = splits.assign(records, lambda record: record.label, keys)
    assert set(of) == set(keys) and set(of.values()) == {"train", "val", "test"}
    plain = splits.assign(records, lambda record: 0, keys)
    assert all(of[key] in (plain[key], "train") for key in keys)


@pytest.mark.parametrize("cuts", [1, 2, 5, 20])
def test_of_films_a_fifth_is_held_out_twice_however_many_cuts_they_have(cuts):
    records = [LabelledVideo(f"v/film{f}_cut{c}.mp4", f % 3) for f in range(500) for c in range(cuts)]
    split_of = splits.assign(records, lambda record: record.label, {r.path: r.path.split("_")[0] for r in records})
    for name in splits.HELD_OUT:
        assert 0.15 <= list(split_of.values()).count(name) / 500 <= 0.25  # 0.2 ± 2.8 standard errors


@pytest.mark.parametrize("place", ["old/c/{}.mp4", "new/d/{}.mp4"])
def test_copies_that_were_left_out_before_count_where_their_names_are_others(place):
    """In a folder of the same name a copy has the same number, so nothing moves; else there are two, and a fifth is held out as well."""
    records, further = ([LabelledVideo(p.format(i), 0) for i in range(500)] for p in ("old/c/{}.mp4", place))
    keys = {record.path: os.path.basename(record.path) for record in (*records, *further)}
    alone, beside = (splits.assign(records, lambda record: 0, keys, some) for some in ((), further))
    assert (alone == beside) == (place == "old/c/{}.mp4")
    for name in splits.HELD_OUT:
        assert 0.15 <= list(beside.values()).count(name) / 500 <= 0.25


@given(st.sets(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30))
def test_the_number_of_one_video_is_its_own_and_more_of_them_make_it_no_lower(numbers):
    lowest = min(numbers)
    assert splits.number_together({lowest}) == lowest <= 1
    assert lowest * (1 - 1e-9) - 1e-12 <= splits.number_together(numbers) <= 1


def test_a_name_is_not_what_makes_a_video(tmp_path):
    for place in "ab":
        (tmp_path / place).mkdir()
        (tmp_path / place / "1.mp4").write_bytes(place.encode())
    one, other = str(tmp_path / "a/1.mp4"), str(tmp_path / "b/1.mp4")
    keys = video_keys([one, other, "gone/1.mp4", "lost/1.mp4"])
    assert len(set(keys.values())) == 4
    assert len(set(video_keys(["x/0347ZoDXyP0_000001_000011.mp4", "y/0347ZoDXyP0.mp4"]).values())) == 1
