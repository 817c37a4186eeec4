"""Lists of AVA and AVA-Kinetics as one task: parts, boxes to test on, and scores of one source or of both together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ivcore.data import keyframes
from ivcore.encoders.videomae import MaskedVideoEncoder
from ivcore.errors import ParameterError, UserError
from ivcore.heads.boxes import BoxClassifier
from ivcore.heads.classifier import classifier
from ivcore.metrics.frame_map import Boxes, frame_scores
from ivcore.stages import localization
from ivcore.video.writer import write_video

BOX = "0.1,0.2,0.5,0.9"
ACTIONS = 'item {{\n  name: "stand"\n  id: 1\n}}\nitem {{\n  name: "sit"\n  id: {}\n}}\n'


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Parameters: three videos to train on, of which one is tested on too, one more, and one of Kinetics."""
    folder = tmp_path_factory.mktemp("lists")
    rng = np.random.default_rng(0)
    for place in ("ava/a", "ava/b", "ava/c", "ava/d", "kinetics/abcdefghijk_000100_000110"):
        (folder / place).parent.mkdir(exist_ok=True)
        write_video(folder / f"{place}.mp4", rng.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8), 4)
    lines = {v: f"{v},0001,{BOX},1,0\n{v},0002,{BOX},3,0\n" for v in "abcd"}
    texts = {"train": lines["a"] + lines["b"] + lines["c"], "test": lines["c"] + lines["d"] + f"gone,0001,{BOX},1,0\n"}
    texts["kinetics"] = f"abcdefghijk,102,{BOX},1\nabcdefghijk,103.5,{BOX},3\n"
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    (folder / "actions.pbtxt").write_text(ACTIONS.format(3))
    files = {"train_csv": "train.csv", "test_csv": "test.csv", "video_root": "ava", "actions": "actions.pbtxt"}
    others = dict.fromkeys(
        ("scored_actions", "test_excluded", "kinetics_train_csv", "kinetics_test_csv", "kinetics_root"), ""
    )
    numbers = {"first_second": 0.0, "whole_seconds": False, "max_bad": 0.5, "val_share": 0.5, "num_videos": 0}
    return {name: str(folder / file) for name, file in files.items()} | others | numbers


@pytest.fixture(scope="module")
def kinetics(given):
    folder = given["train_csv"].removesuffix("/train.csv")
    return given | {"kinetics_test_csv": f"{folder}/kinetics.csv", "kinetics_root": f"{folder}/kinetics"}


def videos(boxes):
    return {keyframe.name.split(",")[0] for keyframe in boxes.keyframes}


def test_no_video_is_in_two_parts(given):
    lists = localization.box_lists(given)
    assert (videos(lists.train), videos(lists.val), videos(lists.test["ava"])) == ({"b"}, {"a"}, {"c", "d"})
    assert lists.names == {1: "stand", 3: "sit"} and lists.scored == [1, 3] and lists.source == "train.csv"
    assert lists.coverage == {"train_keyframes": 2, "val_keyframes": 2, "test_keyframes": 5, "train_missing": 0,
                              "test_missing": 1, "shared_videos": 1}  # fmt: skip
    assert lists.train.keyframes[0].actions.shape == (1, 3), "as many logits as the highest id"


def test_only_the_scored_actions_count(given, tmp_path):
    (tmp_path / "scored.pbtxt").write_text(ACTIONS.format(3).split('item {\n  name: "sit"')[0])
    assert localization.box_lists(given | {"scored_actions": str(tmp_path / "scored.pbtxt")}).scored == [1]
    (tmp_path / "scored.pbtxt").write_text(ACTIONS.format(7))
    with pytest.raises(ParameterError, match="scored_actions: the list of actions has no 7"):
        localization.box_lists(given | {"scored_actions": str(tmp_path / "scored.pbtxt")})


def test_without_a_list_of_actions_there_are_avas_eighty(given):
    lists = localization.box_lists(given | {"actions": ""})
    assert len(lists.scored) == 80 and lists.train.keyframes[0].actions.shape == (1, 80)


def test_a_training_list_alone_is_refused(given):
    with pytest.raises(ParameterError, match="test_csv, video_root: a train_csv of your own needs both"):
        localization.box_lists(given | {"test_csv": ""})


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    encoder = MaskedVideoEncoder("tiny", depth=1, frames=4, image=32, patch=8)
    return BoxClassifier(classifier(encoder, 3, frames=4, image=32))


def test_both_sources_are_scored_together(kinetics, model):
    """The combined evaluation ranks the boxes of both in one list."""
    lists, showing = localization.box_lists(kinetics), localization.Showing(4, 1, 32, 32)
    parts = {}
    for name, boxes in lists.test.items():
        found, unread = localization.found_by(model, showing.testing(boxes, extended=False))
        assert not unread and len(found) == 3 * len(boxes.truth), "every class of every box"
        parts[name] = boxes.truth, found
    scores = localization.scored(parts, lists.scored)
    assert set(scores) == {"ava", "kinetics", "all"}
    both = [Boxes.together([part[i] for part in parts.values()]) for i in (0, 1)]
    assert scores["all"].frame_map == frame_scores(*both, [1, 3]).frame_map
    assert set(localization.scored({"ava": parts["ava"]}, lists.scored)) == {"ava"}


def test_what_cannot_be_read_is_named_and_not_scored(given, model, tmp_path):
    lists = localization.box_lists(given)
    broken = lists.test["ava"].keyframes[0]
    with open(tmp_path / "broken.mp4", "wb") as file:
        file.write(b"no video")
    lists.test["ava"].keyframes[0] = keyframes.Keyframe(
        broken.name, str(tmp_path / "broken.mp4"), 1.0, broken.boxes, broken.actions
    )
    for in_memory in (False, True):
        clips = localization.Showing(4, 1, 32, 32, in_memory=in_memory, run_dir=tmp_path).testing(
            lists.test["ava"], False
        )
        found, unread = localization.found_by(model, clips)
        assert unread == {broken.name} and broken.name not in found.frame and len(found) == 9
    assert "broken.mp4" in (tmp_path / "bad_videos.jsonl").read_text()
    readable = localization.Showing(4, 1, 32, 32, run_dir=tmp_path).testing(lists.test["ava"], False)
    parts, count = localization.found_and_true(model, {"ava": readable}, lists)
    assert count == 1 and broken.name not in parts["ava"][0].frame


def test_too_many_that_cannot_be_read_are_no_score(given, model, tmp_path):
    """Otherwise a model that saw a tenth of the keyframes would be scored on that tenth alone."""
    lists = localization.box_lists(given)
    for row, keyframe in enumerate(lists.test["ava"].keyframes):
        (tmp_path / f"{row}.mp4").write_bytes(b"no video")
        lists.test["ava"].keyframes[row] = replace(keyframe, path=str(tmp_path / f"{row}.mp4"))
    with pytest.raises(UserError, match=r"cannot be read, more than max_bad=0\.05"):
        localization.found_by(model, localization.Showing(4, 1, 32, 32, max_bad=0.05).testing(lists.test["ava"], False))


def test_the_stand_in_detector_misses_and_misplaces(given, tmp_path):
    boxes = localization.box_lists(given).test["ava"]
    exact = localization.stand_in_detector(boxes, tmp_path, misplaced=0.0, missed=0.0)
    np.testing.assert_allclose([p.box for p in exact], np.concatenate([k.boxes for k in boxes.keyframes]), atol=1e-3)
    assert localization.stand_in_detector(boxes, tmp_path, misplaced=0.0, missed=1.0)[0].score < 0.9, "only wrong ones"
    moved = localization.stand_in_detector(boxes, tmp_path, misplaced=0.1, missed=0.0)
    assert len(moved) == len(exact) and moved != exact


def test_a_detector_is_asked_about_each_keyframe(given):
    class Whole:
        def people(self, frame):
            assert frame.shape == (32, 32, 3)
            return np.array([[0.0, 0, 1, 1]]), np.array([0.9])

    boxes = localization.box_lists(given).test["ava"]
    people = localization.detected(Whole(), boxes)
    assert [(p.video_id, p.timestamp) for p in people] == [("c", 1), ("c", 2), ("d", 1), ("d", 2)]
    assert all(len(k.boxes) == 1 for k in keyframes.with_detections(boxes, people, 0.8)[0].keyframes)
