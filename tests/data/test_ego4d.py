"""Ego4D's files: what the readers take of them, each fault in one line, and the scenes and miniatures that are written in their place."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from ivcore.data import egocentric, formats
from ivcore.data.egocentric import annotations, painting, scenes
from ivcore.data.untrimmed import MOMENT_QUERIES, untrimmed_splits
from ivcore.errors import FormatError
from ivcore.video.frame_folder import open_video

LABELS = [
    {"label": "cut", "primary": True, "start_time": 1.0, "end_time": 2.5},
    {"label": "wash", "primary": False, "start_time": 3, "end_time": 4},
    {"label": "cut", "primary": True, "start_time": 8.0, "end_time": 11.0},
]
CLIP = {"clip_uid": "c1", "video_start_sec": 30.0, "video_end_sec": 40.0}
QUERIES = [
    {"query": "Where was the knife? ", "clip_start_sec": 1, "clip_end_sec": 2.5},
    {"query": None, "clip_start_sec": 1, "clip_end_sec": 2},
    {"clip_start_sec": 1, "clip_end_sec": 2},
    {"query": "no time", "clip_start_sec": 2, "clip_end_sec": 2},
]
OBJECT = {"box": [10, 20, 30.5, 40], "noun_category_id": 7, "verb_category_id": 3, "time_to_contact": 0.9}
NAMES = {"noun_categories": [{"id": 7, "name": "cup"}], "verb_categories": [{"id": 3, "name": "take"}]}
STA = {"annotations": [{"uid": "u1", "video_id": "v1", "frame": 123, "objects": [OBJECT]}], **NAMES}
HAND = {"frame": 500, "clip_frame": 20, "boxes": [{"left_hand": [5, 6.5]}]}
ROW = {
    "action_clip_start_sec": 1.0,
    "pre_45": HAND,
    "pre_15": {"frame": 1, "boxes": [{"left_hand": [1, 2]}, {"right_hand": [3, 4]}]},
}
HANDS = {"clips": [{"clip_uid": "c1", "frames": [ROW, {"pre_45": {"frame": 1, "boxes": []}}]}]}
COCO = {
    "images": [{"id": 4, "file_name": "c1/frame_0000012.jpg", "width": 64, "height": 48}, {"id": 5, "file_name": "a.png", "width": 8, "height": 8}],
    "annotations": [{"image_id": 4, "category_id": 1, "bbox": [1, 2, 3, 4]}], "categories": [{"id": 1, "name": "object"}],
}  # fmt: skip


def untrimmed(annotation, split="train", clip=CLIP):
    return {"videos": [{"video_uid": "v", "split": split, "clips": [clip | {"annotations": [annotation]}]}]}


@pytest.fixture
def file(tmp_path):
    def write(content):
        (tmp_path / "a.json").write_text(json.dumps(content, indent=1))
        return tmp_path / "a.json"

    return write


def test_moments_are_those_that_are_primary(file, tmp_path):
    (video,) = formats.read_moments(file(untrimmed({"labels": LABELS})), tmp_path / "clips", subset="train")
    assert (video.id, video.path, video.duration) == ("c1", f"{tmp_path}/clips/c1.mp4", 10)
    assert [(s.label, s.start, s.end) for s in video.segments] == [("cut", 1, 2.5), ("cut", 8, 11)]
    with pytest.raises(FormatError, match="expected videos of the split 'val'; splits present: train"):
        formats.read_moments(file(untrimmed({"labels": LABELS})), subset="val")


def test_queries_without_text_or_time_are_left_out(file, tmp_path):
    (query,) = formats.read_nlq(file(untrimmed({"language_queries": QUERIES})))
    assert query == formats.Query("c1", f"{tmp_path}/c1.mp4", 10, "Where was the knife?", 1, 2.5, "v")
    with pytest.raises(FormatError, match="at least one query"):
        formats.read_nlq(file(untrimmed({"language_queries": QUERIES[1:]})))


def test_next_objects(file, tmp_path):
    found = formats.read_sta(file(STA))
    (picture,) = found.pictures
    assert (picture.path, picture.frame, picture.fps, picture.size) == (f"{tmp_path}/v1.mp4", 123, 30, None)
    assert picture.things == (formats.NextObject((10, 20, 30.5, 40), 7, 3, 0.9),) and found.verbs == {3: "take"}
    film = {"info": {"video_metadata": {"v1": {"frame_width": 64, "frame_height": 48, "fps": 8}}}}
    (picture,) = formats.read_sta(file(STA | film)).pictures
    assert (picture.fps, picture.size) == (8, (64, 48))
    found = {"u1": [{"box": [1, 2, 3, 4], "noun_category_id": 7, "score": 0.5}]}
    assert formats.read_detections(file(found)) == {"u1": [((1, 2, 3, 4), 7, 0.5)]}


@pytest.mark.parametrize("wrap", [lambda clips: {"clips": clips}, lambda clips: {"c1": clips}])
def test_hands_are_twenty_numbers(file, wrap):
    (picture,) = formats.read_hands(file(wrap(HANDS["clips"]))).pictures
    none = [None] * 4
    assert picture.frame == 20 and list(picture.hands) == [5, 6.5, None, None, *none, 1, 2, 3, 4, *none, *none]


def test_changed_objects_are_pictures_or_frames_of_clips(file, tmp_path):
    frame, picture = formats.read_changed(file(COCO), tmp_path / "clips").pictures
    assert (frame.path, frame.frame, frame.size) == (f"{tmp_path}/clips/c1.mp4", 12, (64, 48))
    assert frame.things == (((1, 2, 4, 6), 1),)
    assert (picture.path, picture.frame, picture.things) == (f"{tmp_path}/clips/a.png", None, ())


def changed(content, old, new):
    text = json.dumps(content)
    assert old in text
    return json.loads(text.replace(old, new, 1))


MOMENTS, NLQ = untrimmed({"labels": LABELS}), untrimmed({"language_queries": QUERIES})


@pytest.mark.parametrize(
    "read, content, says",
    [
        (formats.read_moments, changed(MOMENTS, '"end_time": 2.5', '"end_time": 0.5'), "start_time <= end_time"),
        (formats.read_moments, changed(MOMENTS, '"start_time": 8.0', '"start_time": 10.5'), "before the end of the clip at 10 s"),
        (formats.read_moments, changed(MOMENTS, '"video_end_sec": 40.0', '"video_end_sec": 20.0'), "video_start_sec < video_end_sec"),
        (formats.read_moments, changed(MOMENTS, '"clip_uid"', '"clip_id"'), "expected the key 'clip_uid'"),
        (formats.read_nlq, changed(NLQ, '"clip_end_sec": 2.5', '"clip_end_sec": "x"'), "seconds from 0, found 'x'"),
        (formats.read_sta, changed(STA, "30.5", "10"), "x1 < x2 and y1 < y2"),
        (formats.read_sta, changed(STA, '"noun_category_id": 7', '"noun_category_id": 8'), "one of the 1 ids of its categories, found 8"),
        (formats.read_sta, changed(STA, "0.9", "-0.1"), "seconds from 0, found -0.1"),
        (formats.read_hands, changed(HANDS, "6.5", "6, 7"), r"expected \[x, y\] in pixels"),
        (formats.read_hands, {"clips": [{"clip_uid": "c", "frames": []}]}, "at least one row with a hand"),
        (formats.read_changed, changed(COCO, "[1, 2, 3, 4]", "[1, 2, 0, 4]"), "x, y, width, height"),
        (formats.read_changed, changed(COCO, '"category_id": 1', '"category_id": 2'), "one of the 1 ids of the categories"),
        (formats.read_changed, changed(COCO, '"image_id": 4', '"image_id": 9'), "there is no image 9"),
        (formats.read_detections, {"u": [{"box": [1, 2], "noun_category_id": 1, "score": 1}]}, "x1, y1, x2, y2"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line(file, read, content, says):
    with pytest.raises(FormatError, match=says) as caught:
        read(file(content))
    assert "\n" not in str(caught.value) and str(file(content)) in str(caught.value)


def test_what_happens_in_a_scene_is_where_the_annotations_say():
    scene = scenes.draw(np.random.default_rng(3), 320, 8)
    assert len(scene.acts) >= 4
    done = {}
    for act in scene.acts:
        thing, hand, during = scene.things[act.thing], scene.hands[act.hand], slice(act.contact + 2, act.end - 1)
        assert np.abs(hand[during] - thing.place[during]).max() < 1e-6, "the thing moves with the hand"
        apart = [
            np.abs(scene.things[act.thing].place[act.contact] - hand[frame]).max() for frame in (act.start, act.contact)
        ]
        assert apart[0] > apart[1] <= 2 * scenes.SWING
        assert np.ptp(thing.place[act.start : act.contact], 0).max() == 0
        last = done.get(act.thing)
        assert last is None or scenes.VERBS.index(last) == scenes.VERBS.index(act.verb) ^ 1
        done[act.thing] = act.verb
    assert len({thing.words for thing in scene.things}) == len(scene.things)


@pytest.mark.parametrize("verb, partner", [*zip(scenes.VERBS[::2], scenes.VERBS[1::2])])
def test_a_verbs_partner_is_its_time_reversal(verb, partner):
    turns = np.arange(24) / 12 + 0.21
    forth = scenes.swung(verb, turns)
    assert (scenes.swung(partner, -turns) == forth).all()
    assert np.abs(np.diff(forth, axis=0) + np.diff(forth[::-1], axis=0)).max() > 0.01, "no reversal of itself"


def test_a_scene_played_backwards_has_the_same_frames_and_no_frame_says_which_way():
    scene = scenes.draw(np.random.default_rng(3), 64, 8)
    things = [replace(thing, place=thing.place[::-1]) for thing in scene.things]
    back = scenes.Scene(things, scene.hands[:, ::-1], scene.shapes[:, ::-1], scene.camera[::-1], scene.ground)
    assert (painting.render(back, 64)[::-1] == painting.render(scene, 64)).all()


def test_the_way_to_a_thing_and_what_is_done_there_are_drawn_evenly():
    """Otherwise a shuffled second would still contain information about them."""
    config = egocentric.Egocentric.of(112)
    acts = [act for part, uid in config.clips() for act in config.scene(part, uid).acts]
    second = np.mean([scenes.VERBS.index(act.verb) % 2 for act in acts])
    assert abs(second - 0.5) < 3 * 0.5 / len(acts) ** 0.5


def test_what_is_asked_about_happened_once():
    config = egocentric.Egocentric(train=6, val=1)
    for part, uid in config.clips():
        scene = config.scene(part, uid)
        done = [f"When did I {act.verb} something?" for act in scene.acts]
        queries = [each["query"] for each in annotations._queries(config, scene)["language_queries"]]
        assert queries == [each for each in done if done.count(each) == 1]


def test_pixels_depend_on_the_seed_alone_and_a_box_holds_its_thing():
    scene = scenes.draw(np.random.default_rng(3), 64, 8)
    frames = painting.render(scene, 64)
    assert frames.shape == (64, 64, 64, 3)
    assert (frames == painting.render(scenes.draw(np.random.default_rng(3), 64, 8), 64)).all()
    for number, thing in enumerate(scene.things):
        x1, y1, x2, y2 = (scene.box(number, 0) * 64).round().astype(int)
        inside = frames[0, y1:y2, x1:x2].reshape(-1, 3) / 255 - np.array(scenes.COLOURS[thing.colour])
        assert (np.abs(inside).max(1) < 0.2).any(), thing.words


TRACKS = {
    "moments": "ego4d_mq",
    "nlq": "ego4d_nlq",
    "fho_sta": "ego4d_sta",
    "fho_hands": "ego4d_hands",
    "scod": "ego4d_scod",
}
READ = dict(
    zip(TRACKS, (formats.read_moments, formats.read_nlq, formats.read_sta, formats.read_hands, formats.read_changed))
)


@pytest.mark.parametrize("track", TRACKS)
def test_a_miniature_reads_back(track, written):
    folder = written(TRACKS[track])
    parts = {}
    for part in ("train", "val"):
        found = READ[track](folder / f"annotations/{track}_{part}.json", folder / "clips")
        parts[part] = {each.path for each in getattr(found, "pictures", found)}
        for path in parts[part]:
            with open_video(path) as video:
                assert len(video) == 240
    assert not parts["train"] & parts["val"]
    others = {path.name for path in (folder / "annotations").iterdir()} - {"object_detections.json"}
    assert others == {f"{track}_train.json", f"{track}_val.json"}


def test_a_detector_is_played_for_every_frame(written):
    folder = written("ego4d_sta")
    boxes = formats.read_detections(folder / "annotations/object_detections.json")
    for part in ("train", "val"):
        pictures = formats.read_sta(folder / f"annotations/fho_sta_{part}.json").pictures
        assert {picture.id for picture in pictures} <= boxes.keys()


def test_moments_of_a_release_are_parted(written):
    params = {"data": str(written("ego4d_mq")), "features": "", "max_bad": 0.0} | MOMENT_QUERIES
    (train, val, test), scores = untrimmed_splits(params)
    assert (len(train), len(val), len(test)) == (4, 1, 2) and not scores
    assert all(re.fullmatch("[a-z_]+", name) for name in train.classes) and train.source == "ego4d_mq"


def test_a_set_counts_its_clips():
    config = egocentric.Egocentric.of(14)
    assert (config.train, config.val) == (10, 4) and len(config.clips()) == 14
