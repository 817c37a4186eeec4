"""The datasets in miniature: each reads back with the readers of its task, and every video that it names is there."""

import json

import pytest

from ivcore.data import formats, mini
from ivcore.errors import ParameterError, UserError
from ivcore.run import cli
from ivcore.video.frame_folder import open_video

KINETICS = ["k400", "k600", "k700"]
ALL_CLASSES = {0, 1, 2, 3}


def frames(path) -> int:
    with open_video(path) as video:
        return len(video.read(range(len(video))))


def shown_everywhere(videos):
    """Every class is there, and every video has the sixteen frames of a clip."""
    assert {video.label for video in videos} == ALL_CLASSES
    assert {frames(video.path) for video in videos} == {16}
    return [video.path for video in videos]


@pytest.mark.parametrize("name", KINETICS)
def test_kinetics(written, name):
    train, val, test = (formats.read_kinetics_csv(written(name) / f"{part}.csv") for part in ("train", "val", "test"))
    assert not {*shown_everywhere(train)} & {*shown_everywhere(val)} and val == test
    folders = [path.split("/")[-2] for path in sorted({v.label: v.path for v in train}.values())]
    assert folders == sorted(folders) and folders[0] == "abseiling"


def test_hacs(written):
    lines = (written("hacs") / "train.csv").read_text().splitlines()
    assert lines[1] == "videos/v_mini0000001.mp4,1"
    for part in ("train", "val"):
        shown_everywhere(formats.read_kinetics_csv(written("hacs") / f"{part}.csv"))


@pytest.mark.parametrize(
    "name, file, first", [("ssv1", "somesomev1_rgb_{}_split.txt", "00001.jpg"), ("ssv2", "{}.csv", "img_00001.jpg")]
)
def test_something(written, name, file, first):
    folder = written(name)
    lists = {part: formats.read_ssv2_list(folder / file.format(part)) for part in ("train", "val")}
    for videos in lists.values():
        shown_everywhere(videos)
        assert {video.frames for video in videos} == {16}
    assert (folder / "frames/1" / first).is_file()


def test_activitynet_clips_lie_in_their_videos(written):
    for part in ("train", "val"):
        rows = formats.read_timed_list(written("activitynet") / f"{part}.csv")
        assert {row.label for row in rows} == ALL_CLASSES
        for path, duration in {(row.path, row.duration) for row in rows}:
            assert frames(path) == pytest.approx(duration * 8)
        assert all(row.end <= row.duration for row in rows)


def test_hmdb51_has_three_splits_that_test_on_other_videos(written):
    folder, tested = written("hmdb51"), []
    for split in (1, 2, 3):
        parts = [formats.read_hmdb_splits(folder / "testTrainMulti_7030_splits", split, part, folder)
                 for part in ("train", "test")]  # fmt: skip
        train, test = ({*shown_everywhere(videos)} for videos in parts)
        assert not train & test
        tested += test
    assert len(tested) == len({*tested})
    assert len(tested) == 36


SUBSETS = {"thumos14": ("Validation", "Test")}


@pytest.mark.parametrize("name", ["thumos14", "activitynet13", "hacs_segments", "fineaction"])
def test_segments(written, name):
    folder = written(name)
    (file,) = (path for path in (folder / "annotations").glob("*.json") if "uniformerv2" not in path.name)
    videos = [formats.read_segments(file, folder / "videos", part) for part in SUBSETS.get(name, mini.untrimmed.SPLITS)]
    assert [len(part) for part in videos] == [6, 3]
    labels = formats.segment_labels([*videos[0], *videos[1]])
    assert {*labels.values()} == ALL_CLASSES and list(labels) == sorted(labels)
    for video in [*videos[0], *videos[1]]:
        assert frames(video.path) == pytest.approx(video.duration * 8)
    for scores in (folder / "annotations").glob("uniformerv2*.json"):
        found = json.loads(scores.read_text())
        assert {video.id for part in videos for video in part} == found.keys()
        assert all(
            len(shares) == len(labels) and sum(shares) == pytest.approx(1, abs=1e-3) for shares in found.values()
        )


def test_thumos_text_says_what_its_json_says(written):
    folder = written("thumos14") / "annotations"
    for ending, part in (("val", "validation"), ("test", "test")):
        from_text = formats.read_segments(folder / f"Billiards_{ending}.txt", folder.parent / "videos")
        from_json = formats.read_segments(folder / "thumos14.json", folder.parent / "videos", part)
        spans = [
            {v.path: sorted((s.label, s.start, s.end) for s in v.segments) for v in videos if v.segments}
            for videos in (from_text, from_json)
        ]
        assert spans[0] == spans[1]


@pytest.mark.parametrize("name, part", [("ava", "ava_{}_v2.2"), ("ava_kinetics", "kinetics_{}_v1.0")])
def test_boxes(written, name, part):
    folder = written(name)
    known = {each.id for each in formats.read_ava_actions(folder / "ava_action_list_v2.2_for_activitynet_2019.pbtxt")}
    for split in ("train", "val"):
        file = folder / f"{part.format(split)}{'_min' if name == 'ava' else ''}.json"
        boxes, images = formats.read_ava_csv(folder / f"{part.format(split)}.csv", known), formats.read_ava_images(file)
        same = formats.read_ava_truth(file, known)
        key = lambda box: (box.video_id, box.timestamp, box.action, box.box)  # noqa: E731
        assert [key(box)[:3] for box in sorted(boxes, key=key)] == [key(box)[:3] for box in sorted(same, key=key)]
        source = part.split("_")[0]
        people = formats.read_ava_detections(folder / f"{source}_{split}_det_person_bbox.json", images)
        assert {(p.video_id, p.timestamp) for p in people} == {(b.video_id, b.timestamp) for b in boxes}
        for video in {box.video_id for box in boxes}:
            last = max(box.timestamp for box in boxes if box.video_id == video)
            place, first = (f"kinetics/{video}_000010_000020", 10) if source == "kinetics" else (f"videos/{video}", 0)
            assert (last - first) * 8 < frames(folder / f"{place}.mp4") and (source == "ava" or first < last < 20)


@pytest.mark.parametrize("name, unknown", [("ucf101_hmdb51", "hmdb51"), ("ucf101_mit", "mit")])
def test_open_set(written, name, unknown):
    folder = written(name)
    for each, classes in (("ucf101", 4), (unknown, 3)):
        videos = formats.read_kinetics_csv(folder / f"{each}/{each}_val_split_1_videos.txt", folder / f"{each}/videos")
        assert {v.label for v in videos} == {*range(classes)} and {frames(v.path) for v in videos} == {16}
    assert len(formats.read_ucf_classes(folder / "ucf101/classInd.txt")) == 4
    shown_everywhere(
        formats.read_kinetics_csv(folder / "ucf101/ucf101_train_split_1_videos.txt", folder / "ucf101/videos")
    )


def test_zero_shot(written):
    folder = written("k400_zero_shot")
    shown_everywhere(formats.read_kinetics_csv(folder / "k400_test_tsm.list"))
    assert formats.read_class_names(folder / "kinetics_label_map.txt")[0] == "abseiling"
    assert "\t" in (folder / "k400_test_tsm.list").read_text()


def test_the_sentences_of_the_choice_are_those_of_other_clips(written):
    asked = [
        formats.read_choice_jsonl(written("msrvtt") / "msrvtt_mc_test.jsonl", written("msrvtt") / "videos"),
        formats.read_lsmdc_choice(written("lsmdc") / "LSMDC16_multiple_choice_test_randomized.csv"),
    ]
    for choices in asked:
        assert {len({*choice.options}) for choice in choices} == {5} and {c.answer for c in choices} == {*range(5)}
    assert {frames(choice.path) for choice in asked[0]} == {16}


def test_the_table_names_the_files(written):
    for name, each in mini.DATASETS.items():
        if name in ("ava", "k400", "thumos14", "msvd"):
            there = {path.relative_to(written(name)).parts[-1] for path in written(name).rglob("*")}
            named = [word.rpartition("/")[2] for word in each.files.split() if not {*"{"} & {*word}]
            assert {word for word in named if not word.startswith(("ID", "NAME", "CLASS"))} <= there


def test_mistakes_are_one_line_each(tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    for arguments, said in (
        (("k4000", tmp_path / "new"), "did you mean k400"),
        (("k400", tmp_path / "full"), "is not empty"),
        (("k400", tmp_path / "full/notes.txt"), "is a file"),
        (("k400", "/proc/nowhere/new"), "/proc/nowhere"),
        (("k400",), "expected NAME and FOLDER"),
    ):
        assert cli.main(["data", "mini", *map(str, arguments)]) != 0
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and said in lines[0]
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "notes.txt"]


def test_nothing_stays_where_writing_fails(tmp_path, monkeypatch):
    def fails(folder):
        (folder / "train.csv").write_text("half")
        raise UserError("full disk")

    monkeypatch.setitem(mini.DATASETS, "k400", mini.Mini("", "", "", fails))
    with pytest.raises(UserError):
        mini.write("k400", tmp_path / "new")
    with pytest.raises(ParameterError):
        mini.write("nothing", tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_the_list_has_every_name(capsys):
    assert cli.main(["data", "mini", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in mini.DATASETS)
