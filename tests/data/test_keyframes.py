"""Keyframes: which videos their lists mean, the clips about them, and what is left out, with its reason and its number."""

import json
from functools import partial

import numpy as np
import pytest

from ivcore.data import formats, keyframes
from ivcore.data.bad_videos import BadVideos
from ivcore.errors import FormatError, UserError, VideoError
from ivcore.video import sampling
from ivcore.video.writer import write_video

SAMPLER = partial(sampling.around, num_frames=4, stride=2)
BOX = "0.1,0.2,0.5,0.9"


@pytest.fixture
def folder(tmp_path):
    """Two videos of 16 frames, 4 a second, each brighter than the one before."""
    (tmp_path / "videos").mkdir()
    frames = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None, None, None] * 15, (16, 32, 48, 3))
    for name in ("whole", "part_000010_000020"):
        write_video(tmp_path / f"videos/{name}.mp4", np.ascontiguousarray(frames), 4)
    return tmp_path


def read(folder, text, known=range(1, 6), **how):
    (folder / "list.csv").write_text(text)
    return keyframes.read_box_set(folder / "list.csv", folder / "videos", known, **how)


def test_several_actions_of_one_person_share_a_box(folder):
    boxes = read(folder, f"whole,0001,{BOX},1,0\nwhole,0001,{BOX},4,0\nwhole,0001,{BOX},2,1\nwhole,0002,{BOX},1,0\n")
    assert [k.name for k in boxes.keyframes] == ["whole,1", "whole,2"]
    assert boxes.keyframes[0].actions.tolist() == [[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]]
    assert len(boxes.truth) == 4 and boxes.missing == 0


def test_a_part_of_a_video_begins_where_its_name_says(folder):
    (found,) = read(folder, f"part,12.5,{BOX},1\n").keyframes
    assert found.path.endswith("part_000010_000020.mp4") and found.seconds == 2.5 and found.name == "part,12.5"
    (found,) = read(folder, f"whole,0902,{BOX},1,0\n", first_second=900.0).keyframes
    assert found.seconds == 2


def test_keyframes_of_one_second_are_apart_but_not_for_the_published_evaluator(folder):
    text = f"part,12.25,{BOX},1\npart,12.75,{BOX},1\n"
    assert [k.name for k in read(folder, text).keyframes] == ["part,12.25", "part,12.75"]
    assert {k.name for k in read(folder, text, whole_seconds=True).keyframes} == {"part,0012"}


def test_videos_that_are_not_there_are_left_out_and_listed(folder):
    text = f"whole,0001,{BOX},1,0\ngone,0001,{BOX},1,0\npart,0030,{BOX},1,0\n"
    boxes = read(folder, text, max_bad=0.9, run_dir=folder)
    assert [k.name for k in boxes.keyframes] == ["whole,1"] and boxes.missing == 2
    assert set(boxes.truth.frame) == {"whole,1"}, "what cannot be seen is not scored"
    causes = [json.loads(line)["cause"] for line in (folder / "bad_videos.jsonl").read_text().splitlines()]
    assert causes == ["no video with this name has the second 1", "no video with this name has the second 30"]
    with pytest.raises(UserError, match="2 of 3 videos cannot be read, more than max_bad"):
        read(folder, text)
    with pytest.raises(UserError, match="none of its 1 keyframes has a video in"):
        read(folder, f"gone,0001,{BOX},1,0\n")


def test_unknown_actions_and_swapped_corners_stop_or_are_left_out(folder):
    text = f"whole,0001,{BOX},1,0\nwhole,0001,{BOX},9,0\nwhole,0001,0.5,0.2,0.1,0.9,1,0\n"
    with pytest.raises(FormatError, match=r"list.csv:2: expected an action_id of the list of actions, which has no 9"):
        read(folder, text)
    with formats.without_bad_rows() as left_out:
        assert len(read(folder, text).truth) == 1
    assert [(error.line, "swapped" in error.expected) for error in left_out] == [(2, False), (3, True)]


def test_excluded_keyframes_do_not_count(folder):
    (folder / "excluded.csv").write_text("whole,0001\n")
    boxes = read(folder, f"whole,0001,{BOX},1,0\nwhole,0002,{BOX},1,0\n", excluded=folder / "excluded.csv")
    assert set(boxes.truth.frame) == {"whole,2"}
    people = [formats.PersonBox("whole", second, (0, 0, 1, 1), 0.9) for second in (1.0, 2.0)]
    assert [k.name for k in keyframes.with_detections(boxes, people, 0.8)[0].keyframes] == ["whole,2"]


def test_boxes_of_a_detector_take_the_place_of_the_true_ones(folder):
    """With those on keyframes that have no true box; weak ones are left out, and those of other videos are counted."""
    boxes = read(folder, f"whole,0001,{BOX},1,0\nwhole,0002,{BOX},1,0\n")
    people = [formats.PersonBox(*each) for each in (
        ("whole", 1.0, (0, 0, 1, 1), 0.9), ("whole", 1.0, (0, 0, 0.5, 1), 0.7), ("whole", 3.0, (0, 0, 1, 1), 0.8),
        ("other", 1.0, (0, 0, 1, 1), 0.9))]  # fmt: skip
    found, others = keyframes.with_detections(boxes, people, 0.8)
    assert {k.name: len(k.boxes) for k in found.keyframes} == {"whole,1": 1, "whole,2": 0, "whole,3": 1}
    assert others == 1 and len(found.truth) == 2 and not any(k.actions.any() for k in found.keyframes)
    with pytest.raises(UserError, match="1 boxes are of other videos, maybe of another split"):
        keyframes.with_detections(boxes, people[3:], 0.8)


def test_a_clip_is_about_its_keyframe_from_memory_and_from_files(folder):
    found = read(folder, f"whole,0002,{BOX},1,0\npart,0010,{BOX},1,0\n").keyframes
    bad = BadVideos([k.path for k in found])
    for keyframe, kept in zip(found, keyframes.decoded(found, SAMPLER, 32, bad)):
        assert (kept.frames == keyframes.frames_around(keyframe, SAMPLER, 32)).all()
    brightness = keyframes.frames_around(found[0], SAMPLER)[:, 16, 24, 0] / 15
    assert np.abs(brightness - [4, 6, 8, 10]).max() < 0.3


def test_a_keyframe_past_the_end_cannot_be_read(folder):
    (found,) = read(folder, f"whole,0009,{BOX},1,0\n").keyframes
    with pytest.raises(VideoError, match=r"has no second 9, its last frame is at 3\.75"):
        keyframes.frames_around(found, SAMPLER)


def test_clips_of_a_batch_are_padded_to_the_most_boxes(folder):
    text = f"whole,0001,{BOX},1,0\nwhole,0001,{BOX},2,1\nwhole,0002,{BOX},3,0\nwhole,0009,{BOX},1,0\n"
    view = partial(keyframes.training_view, height=16, width=32, smallest_crop=0.8, flip=0.5, jitter=1.0)
    clips = keyframes.KeyframeClips(read(folder, text).keyframes, SAMPLER, view, 32, max_bad=0.9)
    batch = clips.batch([0, 1, 2])
    assert batch["video"].shape == (3, 4, 16, 32, 3) and batch["boxes"].shape == (3, 2, 4)
    assert batch["there"].tolist() == [[True, True], [True, False], [True, True]], (
        "the next readable one takes its place"
    )
    assert batch["labels"][0].argmax(1).tolist() == [0, 1] and len(batch["path"]) == 3
    again, other = clips.batch([0, 1, 2]), clips.batch([0, 1, 2], epoch=1)
    assert (again["boxes"] == batch["boxes"]).all() and (other["boxes"] != batch["boxes"]).any()


def test_controls_change_what_is_shown_and_nothing_else(folder):
    """An order belongs to a keyframe, so that it does not matter what was read before it."""
    found = read(folder, f"whole,0001,{BOX},1,0\nwhole,0002,{BOX},2,0\n").keyframes
    view = partial(keyframes.whole_view, height=32, width=48)
    clips = {order: keyframes.KeyframeClips(found, SAMPLER, view, 32, random=False, frame_order=order, region=region)
             for order, region in {"ordered": "box", "shuffled": "box", "past_shuffled": "box", "single": "picture"}.items()}  # fmt: skip
    second = {order: each.item(1) for order, each in clips.items()}
    again = clips["shuffled"].batch([0, 1])["video"][1]
    assert (again.numpy() == second["shuffled"]["video"]).all()
    order = [frame[16, 24, 0] // 15 for frame in second["shuffled"]["video"]]
    assert sorted(order) == [frame[16, 24, 0] // 15 for frame in second["ordered"]["video"]] != order
    past = [frame[16, 24, 0] // 15 for frame in second["past_shuffled"]["video"]]
    true = [frame[16, 24, 0] // 15 for frame in second["ordered"]["video"]]
    assert past[-1] == true[-1] and sorted(past) == true != past
    assert (clips["shuffled"].in_order().item(1)["video"] == second["ordered"]["video"]).all()
    assert (second["single"]["video"] == second["single"]["video"][:1]).all()
    assert second["single"]["boxes"].tolist() == [[0, 0, 1, 1]] and second["single"]["labels"].argmax() == 1
