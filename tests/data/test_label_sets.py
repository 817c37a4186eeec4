"""The sets of the moving shapes overlap, leak and unite as released ones do; a folder of one's own is read alike."""

from pathlib import Path

import pytest

from ivcore.data import formats, shapes
from ivcore.data.formats import LabelledVideo
from ivcore.data.labels.sets import united_sets
from ivcore.errors import UserError

SMALL = {"train": 120, "val": 60, "test": 60, "further_test": 90, "size": 16, "frames": 4, "name": "labels"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield united_sets(**SMALL)


def by_path(records):
    return {record.path: record.label for record in records}


def test_every_clip_is_in_the_union_once_under_its_own_class(small):
    config, names = shapes.with_training(**SMALL), [name.casefold() for name in small.union.classes]
    sizes = {"train": 120, "val": 120, "test": 90}
    for split in sizes:
        labels = by_path(getattr(small, split).records)
        assert len(labels) == len(getattr(small, split)) == sizes[split]
        for video in shapes.label_sets.splits(config)[split]:
            wanted = shapes.label_sets.class_of(video.shots[0].scene(config))
            assert names[labels[str(config.folder / video.file)]].replace("_", " ") == wanted


def test_sets_overlap_and_what_leaks_is_left_out_and_counted(small):
    assert [each.name for each in small.sets] == list(shapes.label_sets.SETS)
    sizes = [len(each.class_names) for each in small.sets]
    assert sizes == [11, 14, 16] and len(small.union.classes) == 19 < sum(sizes)
    counts = small.union.counts
    assert [counts[name]["leaked"] for name in shapes.label_sets.SETS][:2] == [0, 0]
    assert 0 < counts["shapes16"]["leaked"] <= 2 * shapes.label_sets.LEAKED
    assert counts["shapes14"]["repeated"] and not counts["shapes14"]["relabelled"]
    held_out = by_path(small.val.records) | by_path(small.test.records)
    assert not held_out.keys() & by_path(small.train.records).keys()


def test_every_class_is_either_motion_or_appearance(small):
    assert sorted(small.motion + small.appearance) == list(range(19)) and len(small.motion) == 11
    assert small.kinds["grow"] == "motion" and small.kinds["large cyan thing"] == "appearance"


def test_the_large_thing_is_the_one_named():
    """In clips labelled by it, the last thing is the larger one in every frame."""
    config = shapes.with_training(**SMALL)
    scenes_ = [video.shots[0].scene(config) for video in shapes.clips(config)]
    seen = [scene for scene in scenes_ if shapes.label_sets.class_of(scene).startswith("large")]
    assert len(seen) > 50
    for scene in seen:
        small_thing, large = scene.objects
        assert (large.track.radius > small_thing.track.radius).all()
        assert shapes.label_sets.class_of(scene) == f"large {large.colour} thing"


def test_the_shipped_sets_say_which_clips_share_a_scene(shipped):
    """960 test clips are 512 scenes, 448 of them shown forwards and backwards; in training every clip has its own."""
    config = shapes.Shapes()
    scene = {video.id: video.shots[0].seed for video, _ in shapes.groups(config)}
    for split, clips, scenes_ in (("train", 1920, 1920), ("val", 720, 384), ("test", 960, 512)):
        videos = getattr(shipped, split)
        numbers, seeds = videos.groups().tolist(), [scene[Path(r.path).stem] for r in videos.records]
        assert (len(numbers), len(set(numbers)), len(set(zip(numbers, seeds)))) == (clips, scenes_, scenes_)


def test_a_folder_of_ones_own_without_kinds_and_labelled_test_files(tmp_path):
    for name, classes in (("b", ["Run", "sit_down"]), ("a", ["sit down"])):
        formats.write_class_names(tmp_path / name / "classes.txt", classes)
        for split in ("train", "val"):
            videos = [LabelledVideo(str(tmp_path / f"{name}_{split}_{i}.mp4"), i) for i in range(len(classes))]
            formats.write_kinetics_csv(tmp_path / name / f"{split}.csv", videos, tmp_path)
    for number, file in enumerate(("a_train_0", "b_train_0", "b_train_1", "a_val_0", "b_val_1")):
        (tmp_path / f"{file}.mp4").write_bytes(bytes(number + 1))
    own = united_sets(str(tmp_path), str(tmp_path), max_bad=1)
    assert own.union.classes == ["sit down", "Run"] and own.train.source == tmp_path.name
    names = {split: {Path(r.path).stem for r in getattr(own, split).records} for split in ("train", "val", "test")}
    assert names["val"] == {"a_val_0", "b_val_1"} and own.val.missing == 1  # b_val_0 is not there
    assert names["train"] | names["test"] == {"a_train_0", "b_train_0", "b_train_1"} and len(names["test"]) == 1
    assert by_path(own.val.records)[str(tmp_path / "b_val_1.mp4")] == 0 and own.kinds == {}
    with pytest.raises(UserError, match=r"1 of 6 videos cannot be read, more than max_bad=0, e.g. .*b_val_0"):
        united_sets(str(tmp_path), str(tmp_path), max_bad=0)
    assert own.train.groups().tolist() == list(range(len(own.train)))
    (tmp_path / "groups.csv").write_text("a_train_0.mp4 7\nb_train_1.mp4 7\n")
    grouped = united_sets(str(tmp_path), str(tmp_path), max_bad=1)
    sides = [{Path(r.path).stem for r in part.records} for part in (grouped.train, grouped.test)]
    assert {"a_train_0", "b_train_1"} in sides  # what belongs together is held out together or not at all
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no <set>/train"):
        united_sets(str(tmp_path / "empty"))


def test_one_set_alone_is_its_own_folder(tmp_path):
    clips = [LabelledVideo(str(tmp_path / f"{i}.mp4"), i % 2) for i in range(8)]
    for clip in clips:
        Path(clip.path).touch()
    formats.write_kinetics_csv(tmp_path / "k400" / "train.csv", clips[:6])
    formats.write_kinetics_csv(tmp_path / "k400" / "val.csv", clips[6:])
    formats.write_class_names(tmp_path / "k400" / "classes.txt", ["abseiling", "air drumming"])
    alone, among = united_sets(str(tmp_path / "k400")), united_sets(str(tmp_path))
    assert [each.name for each in alone.sets] == [each.name for each in among.sets] == ["k400"]
    assert alone.union.classes == ["abseiling", "air drumming"] and alone.train.records == among.train.records


def test_kinds_are_told_apart_only_where_both_can_be_judged(tmp_path):
    formats.write_class_names(tmp_path / "a" / "classes.txt", ["run", "sit", "red", "blue"])
    for split, labels in (("train", range(4)), ("val", (0, 1, 2)), ("test", (0, 3))):
        videos = [LabelledVideo(str(tmp_path / f"{split}_{label}.mp4"), label) for label in labels]
        for video in videos:
            Path(video.path).write_text(video.path)
        formats.write_kinetics_csv(tmp_path / "a" / f"{split}.csv", videos, tmp_path)
    (tmp_path / "motion_classes.txt").write_text("run\nsit\n")
    own = united_sets(str(tmp_path), str(tmp_path))
    assert (own.motion, own.appearance, own.notes) == ([0, 1], [2, 3], [])
    (tmp_path / "a" / "test.csv").write_text("test_0.mp4 0\n")
    own = united_sets(str(tmp_path), str(tmp_path))
    assert own.kinds == {} and own.motion == own.appearance == []
    assert own.notes == [
        "test: no video of the classes that are no movements by motion_classes.txt, so they are not told apart"
    ]


def test_what_is_missing_is_counted_in_its_split_and_said(tmp_path):
    for number, (split, there) in enumerate([("train", 6), ("val", 4), ("test", 3)]):
        clips = [LabelledVideo(str(tmp_path / f"{split}{i}.mp4"), i % 2) for i in range(there + 1 + number)]
        for place, clip in enumerate(clips[:there]):
            Path(clip.path).write_bytes(bytes([number, place]))
        formats.write_kinetics_csv(tmp_path / "mine" / f"{split}.csv", clips)
    formats.write_class_names(tmp_path / "mine" / "classes.txt", ["run", "sit"])
    own = united_sets(str(tmp_path), max_bad=0.5)
    parts = {"train": own.train, "val": own.val, "test": own.test}
    assert {split: (len(part), part.missing) for split, part in parts.items()} == {
        "train": (6, 1),
        "val": (4, 2),
        "test": (3, 3),
    }
    assert "test: 3 files are not there and left out" in own.notes


def test_cuts_of_one_youtube_video_are_kept_with_their_labels_in_one_part_and_count_as_one(tmp_path):
    ids = ["0347ZoDXyP0", "-A5JFdMXB_k", "X1fH-ZM9TBr", "a_QFPiyCEs5", "KrmGsNmjQ8m", "T3OA94HhblZ"]
    clips = [
        LabelledVideo(str(tmp_path / f"{i}_{t:06d}_{t + 10:06d}.mp4"), t // 10 % 2)
        for i in ids
        for t in range(0, 80, 10)
    ]
    for clip in clips:
        Path(clip.path).write_text(clip.path)
    formats.write_kinetics_csv(tmp_path / "mine/train.csv", clips)
    formats.write_class_names(tmp_path / "mine/classes.txt", ["sit", "stand"])
    own = united_sets(str(tmp_path))
    parts = [own.train, own.val, own.test]
    assert by_path([r for part in parts for r in part.records]) == by_path(clips)
    assert sum(len(set(part.groups().tolist())) for part in parts) == 6 and own.union.counts["mine"]["repeated"] == 0
