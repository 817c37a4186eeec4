"""Released lists spoilt by hand: each fault is refused with its file and line, or left out and counted, and none changes a score in silence."""

import shutil

import pytest

from ivcore.data import formats, open_sets
from ivcore.data.videos import video_splits
from ivcore.data.views import views_of
from ivcore.errors import FormatError, ParameterError, VideoError
from ivcore.stages import zero_shot
from ivcore.video.frame_folder import open_video

LISTS = {"train": "", "val": "", "test": ""}
LAYOUTS = {"ssv1": "something", "ssv2": "something", "activitynet": "activitynet", "hmdb51": "hmdb51"}
LAYOUTS |= {"k400_zero_shot": "zero_shot", "ucf101_hmdb51": "ucf101"}
HMDB = "testTrainMulti_7030_splits"
OPEN = dict.fromkeys(("data", *open_sets.LISTS, "unknown_csv", "val_unknown_csv", "video_root", "unknown_root"), "")


@pytest.fixture
def spoilt(written, tmp_path):
    """spoilt("k400", "val.csv", change) -> a copy of that miniature in which the lines of that file are change(lines)."""

    def copied(name, file=None, change=None):
        folder = shutil.copytree(written(name), tmp_path / name)
        if file:
            path = folder / file
            path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))
        return folder

    return copied


def read(folder, name):
    """The parts of the dataset that its notebook reads."""
    if name == "ucf101_hmdb51":
        return list(open_sets.open_sets(OPEN | {"data": str(folder), "max_bad": 0.5}).parts.values())
    if name == "k400_zero_shot":
        return list(zero_shot.sets(LISTS, data=str(folder), release="zero_shot", learns=False, chooses=False).values())
    return video_splits(LISTS, data=str(folder), release=LAYOUTS.get(name, "kinetics"), max_bad=0.5)


def ends_in(number, text):
    """change: the last column of line `number` (from 1) is `text`."""
    return lambda lines: [
        line[: max(line.rfind(gap) for gap in " ,\t") + 1] + text if n == number else line
        for n, line in enumerate(lines, 1)
    ]


def seconds(*times):
    """change: duration, start and end of the first line."""

    def change(lines):
        path, *_, label = lines[0].split(",")
        return [",".join([path, *map(str, times), label]), *lines[1:]]

    return change


ROWS = [
    ("k400", "val.csv", ends_in(2, "-1"), "expected `path label`"),
    ("k400", "val.csv", lambda lines: [lines[0], " ".join(reversed(lines[1].split())), *lines[2:]], "expected `path label`"),
    ("k400", "val.csv", lambda lines: [lines[0], lines[0], *lines[1:]], "the same video as in line 1"),
    ("k400", "val.csv", lambda lines: [lines[0], lines[0][:-1] + "3", *lines[1:]], "label 3, but line 1 has label 0 for the same video"),
    ("k400", "train.csv", lambda lines: [lines[0], lines[0][:-1] + "3", *lines[1:]], "label 3, but line 1 has label 0 for the same video"),
    ("ssv1", "somesomev1_rgb_val_split.txt", ends_in(2, "4"), "label 4: .* has 4 names, for labels 0 to 3"),
    ("ssv2", "val.csv", ends_in(2, "4"), "label 4: .* has 4 names, for labels 0 to 3"),
    ("k400_zero_shot", "k400_test_tsm.list", ends_in(2, "4"), "label 4: .* has 4 names, for labels 0 to 3"),
    ("activitynet", "val.csv", seconds(17.25, 3, 1), "expected start < end"),
    ("activitynet", "val.csv", seconds(17.25, 900, 905), "expected a start before the end of the video"),
    ("hmdb51", f"{HMDB}/chew_test_split1.txt", ends_in(2, "3"), "expected `name.avi 0`, 1 "),
    ("hmdb51", f"{HMDB}/chew_test_split1.txt", lambda lines: [lines[0], lines[0], *lines[1:]], "the same video as in line 1"),
    ("ucf101_hmdb51", "ucf101/ucf101_val_split_1_videos.txt", ends_in(2, "4"), "label 4: .* has 4 names, for labels 0 to 3"),
    ("ucf101_hmdb51", "hmdb51/hmdb51_val_split_1_videos.txt", lambda lines: [lines[0], lines[0], *lines[1:]], "the same video as in line 1"),
]  # fmt: skip


@pytest.mark.parametrize("name, file, change, said", ROWS, ids=[f"{row[0]}-{n}" for n, row in enumerate(ROWS)])
def test_a_bad_row_is_refused_with_its_line_or_left_out(spoilt, name, file, change, said):
    folder = spoilt(name, file, change)
    with pytest.raises(FormatError, match=rf"{file.rpartition('/')[2]}:[12]: {said}") as refused:
        read(folder, name)
    with formats.without_bad_rows() as left:
        parts = read(folder, name)
    assert {(error.path, error.line, error.expected) for error in left} == {
        (str(folder / file), refused.value.line, refused.value.expected)
    }
    assert all(record.label < 4 for part in parts for record in part.records)


def test_a_list_for_training_may_repeat_a_video_and_labels_of_pretraining_mean_nothing(spoilt):
    folder = spoilt("k400", "train.csv", lambda lines: [lines[0], *lines])
    assert sum(map(len, read(folder, "k400"))) == 29
    text = (folder / "train.csv").read_text()
    (folder / "train.csv").write_text(text + text.replace(" 0\n", " 7\n"))
    given = {part: str(folder / f"{part}.csv") for part in ("train", "val")}
    assert len(video_splits(given, labelled=False)[1]) == 8
    with pytest.raises(FormatError, match=r"train\.csv:22: label 7, but line 1 has label 0"):
        video_splits(given)


def views(videos):
    views = views_of(videos, in_memory=False, size=16, num_frames=2)
    return views, [item if isinstance(item, VideoError) else None for item in (views[n] for n in range(len(views)))]


def test_a_label_that_nothing_names_is_counted(spoilt):
    parts = read(spoilt("hacs", "val.csv", ends_in(2, "9")), "hacs")
    assert views(parts[2])[0].coverage("test") == {"test_videos": 8, "test_scored": 0, "test_untaught": 1}
    assert parts[0].flaws == parts[1].flaws == {}


def test_a_segment_that_ends_late_is_counted(spoilt):
    parts = read(spoilt("activitynet", "val.csv", seconds(17.25, 3, 905)), "activitynet")
    late, errors = views(parts[2])
    assert late.coverage("test")["test_past_end"] == 1 and not any(errors)


def test_the_real_end_of_a_video_counts_not_the_listed_one(spoilt):
    parts = read(spoilt("activitynet", "val.csv", seconds(1000, 900, 905)), "activitynet")
    _, (error, *others) = views(parts[2])
    assert "the list names seconds 900 to 905, of 17.25" in str(error) and not any(others)


@pytest.mark.parametrize("counted, said", [("117", "the list counts 117 frames, 16 are there"), ("3", "")])
def test_frames_that_are_not_there_are_no_video_and_those_not_counted_are_not_shown(spoilt, counted, said):
    change = lambda lines: [lines[0].replace(" 16 ", f" {counted} "), *lines[1:]]  # noqa: E731
    parts = read(spoilt("ssv2", "val.csv", change), "ssv2")
    _, (error, *others) = views(parts[2])
    assert said in str(error) and bool(error) == bool(said) and not any(others)
    if not said:
        assert parts[2].records[0].span(16) == (0, 3)
        with open_video(parts[2].records[1].path) as whole:
            assert parts[2].records[1].span(len(whole)) == (0, 16)


def test_a_video_that_is_not_there_is_counted(spoilt):
    for name, file in (("k400", "val.csv"), ("ucf101_hmdb51", "hmdb51/hmdb51_val_split_1_videos.txt")):
        parts = read(spoilt(name, file, lambda lines: ["nowhere.mp4 0", *lines[1:]]), name)
        assert parts[-1].missing == 1 and views(parts[-1])[0].coverage("x")["x_videos"] == len(parts[-1]) + 1


def test_a_split_or_list_of_another_name_is_named(spoilt):
    folder = spoilt("k400")
    (folder / "val.csv").rename(folder / "valid.csv")
    with pytest.raises(ParameterError, match=r"has no val\.csv"):
        read(folder, "k400")
    folder = spoilt("hmdb51")
    (folder / HMDB / "chew_test_split1.txt").unlink()
    with pytest.raises(FormatError, match=r"expected chew_test_split1\.txt, since chew_test_split2\.txt is there"):
        read(folder, "hmdb51")
    folder = spoilt("ucf101_hmdb51")
    mit = shutil.copytree(folder / "hmdb51", folder / "mit")
    (mit / "hmdb51_val_split_1_videos.txt").rename(mit / "mit_test_split_1_videos.txt")
    with pytest.raises(ParameterError, match=r"mit/videos is there, mit_val_split_1_videos\.txt is not"):
        read(folder, "ucf101_hmdb51")
