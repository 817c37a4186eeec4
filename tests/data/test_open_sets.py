"""Known and unknown classes: from a release, from lists, and what is refused."""

import shutil

import pytest

from ivcore.data import creatures, formats, mini, open_sets, releases
from ivcore.errors import ParameterError, UserError

EMPTY = dict.fromkeys(("data", *open_sets.LISTS, "unknown_csv", "val_unknown_csv", "video_root", "unknown_root"), "")
EMPTY |= {"max_bad": 0.05, "num_clips": 60, "num_unknown": 30}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return mini.write("ucf101_hmdb51", tmp_path_factory.mktemp("open") / "ucf101_hmdb51")


@pytest.fixture
def lists(released):
    known, unknown = released / "ucf101", released / "hmdb51"
    given = {
        f"{part}_csv": str(known / f"ucf101_{name}_split_1_videos.txt")
        for part, name in (("train", "train"), ("test", "val"))
    }
    given |= {"unknown_csv": str(unknown / "hmdb51_val_split_1_videos.txt")}
    return EMPTY | given | {"video_root": str(known / "videos"), "unknown_root": str(unknown / "videos")}


def paths(videos):
    return {record.path for record in videos.records}


def test_a_release_has_known_parts_and_each_set_beside_them(released):
    sets = open_sets.open_sets(EMPTY | {"data": str(released)})
    assert (len(sets.train), len(sets.val), len(sets.test)) == (16, 4, 8)
    assert sets.train.classes == ["ApplyEyeMakeup", "ApplyLipstick", "Archery", "BabyCrawling"]
    assert list(sets.unknown) == ["hmdb51"] and len(sets.unknown["hmdb51"]) == 9 and sets.val_unknown is None
    assert not paths(sets.train) & paths(sets.val) and not paths(sets.train) & paths(sets.test)


def test_cuts_of_one_film_stay_together():
    names = [
        "v_Archery_g01_c01.avi",
        "v_Archery_g01_c02.avi",
        "v_Archery_g02_c01.avi",
        "v_Biking_g01_c01.avi",
        "other.avi",
    ]
    videos = [formats.LabelledVideo(f"videos/{name}", 0) for name in names]
    assert list(releases.films("ucf101", videos).values()) == [0, 0, 1, 2]
    assert releases.films("kinetics", videos) == {}


def test_lists_give_the_same_videos(released, lists):
    sets, same = open_sets.open_sets(lists), open_sets.open_sets(EMPTY | {"data": str(released)})
    assert paths(sets.test) == paths(same.test) and paths(sets.train) | paths(sets.val) == paths(same.train) | paths(
        same.val
    )
    assert {name: paths(each) for name, each in sets.unknown.items()} == {
        "hmdb51_val_split_1_videos": paths(same.unknown["hmdb51"])
    }
    further = open_sets.open_sets(lists | {"val_unknown_csv": lists["unknown_csv"]}).val_unknown
    assert paths(further) == paths(same.unknown["hmdb51"])


def test_one_video_cannot_be_known_and_unknown(lists):
    with pytest.raises(UserError, match="is known and unknown, as 8 videos of both lists are"):
        open_sets.open_sets(lists | {"unknown_csv": lists["test_csv"], "unknown_root": lists["video_root"]})


def test_what_is_missing_is_named(released, lists, tmp_path):
    with pytest.raises(ParameterError, match="unknown_csv: train_csv of your own needs it, too"):
        open_sets.open_sets(lists | {"unknown_csv": ""})
    with pytest.raises(ParameterError, match="train_csv: unknown_csv of your own"):
        open_sets.open_sets(EMPTY | {"unknown_csv": lists["unknown_csv"]})
    with pytest.raises(ParameterError, match=r"has no ucf101_train_split_1_videos\.txt"):
        open_sets.open_sets(EMPTY | {"data": str(tmp_path)})
    (tmp_path / "ucf101").symlink_to(released / "ucf101")
    with pytest.raises(ParameterError, match="has no list of unknown classes"):
        open_sets.open_sets(EMPTY | {"data": str(tmp_path)})


def test_no_creature_does_in_the_test_what_choices_have_seen_backwards():
    halves = [
        [creatures.CLASSES.index(name) < open_sets.FOR_CHOICES for name in pair] for pair in creatures.ORDER_PAIRS
    ]
    assert all(one == other for one, other in halves)


def test_two_lists_of_one_set_are_refused(released, tmp_path):
    """Otherwise one of them would be used for both."""
    shutil.copytree(released, tmp_path / "both")
    (tmp_path / "both" / "hmdb51" / "zz_val_split_1_videos.txt").write_text("a.avi 0\n")
    with pytest.raises(ParameterError, match="hmdb51 has several lists"):
        open_sets.open_sets(EMPTY | {"data": str(tmp_path / "both")})
