"""Which untrimmed videos are trained on, features on a grid of seconds and back, and what a batch shows of long sequences."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ivcore.data import formats
from ivcore.data.untrimmed import FeatureSequence, TrainingSequences, published_features, sequence, untrimmed_splits
from ivcore.errors import FormatError, ParameterError, UserError

JUMP, WAVE = {"label": "jump", "segment": [1.0, 3.0]}, {"label": "wave", "segment": [4.0, 5.0]}


@pytest.fixture
def annotations(tmp_path):
    entry = {"duration": 10.0, "fps": 8.0, "annotations": [JUMP, WAVE]}
    database = {f"t{n}": entry | {"subset": "training"} for n in range(10)}
    database |= {f"v{n}": entry | {"subset": "validation", "annotations": [WAVE]} for n in range(3)}
    for name in database:
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"database": database}, indent=1))
    return path


def given(annotations, **changed):
    """The parameters of notebook 31 that say which videos."""
    empty = dict.fromkeys(("data", "features", "test_annotations", "video_root", "video_scores"), "")
    values = {"annotations": str(annotations), "train_subset": "training", "test_subset": "validation", "max_bad": None}
    return empty | values | changed


def splits_of(annotations, **changed):
    return untrimmed_splits(given(annotations, **changed))[0]


def test_validation_is_held_out_of_training_and_testing_is_the_other_subset(annotations):
    train, val, test = splits_of(annotations)
    ids = [{video.id for video in some.videos} for some in (train, val, test)]
    assert ids[0] | ids[1] == {f"t{n}" for n in range(10)} and not ids[0] & ids[1] and ids[1]
    assert ids[2] == {"v0", "v1", "v2"} and train.classes == test.classes == ["jump", "wave"]
    again = splits_of(annotations)
    assert [[v.id for v in some.videos] for some in again] == [[v.id for v in some.videos] for some in (train, val, test)]  # fmt: skip


def test_with_features_no_video_has_to_be_there(annotations):
    for path in annotations.parent.glob("*.mp4"):
        path.unlink()
    train, val, test = splits_of(annotations, features="somewhere")
    assert (len(train), len(val), len(test)) == (8, 2, 3)
    with pytest.raises(UserError, match="none of the 10 videos exists"):
        splits_of(annotations)


def test_with_features_a_video_of_both_lists_is_for_the_test_alone(annotations, tmp_path):
    content = json.loads(annotations.read_text())
    for name in ("t0", "t1", "t2"):
        content["database"][name]["subset"] = "validation"
    (again := tmp_path / "again.json").write_text(json.dumps(content))
    train, val, test = splits_of(annotations, features="somewhere", test_annotations=str(again))
    ids = [{video.id for video in some.videos} for some in (train, val, test)]
    assert ids[2] >= {"t0", "t1", "t2"} and not (ids[0] | ids[1]) & ids[2] and len(ids[0] | ids[1]) == 7


def test_missing_videos_are_counted_and_too_many_refused(annotations):
    (annotations.parent / "v1.mp4").unlink()
    *_, test = splits_of(annotations, max_bad=0.5)
    assert (len(test), test.missing) == (2, 1)
    with pytest.raises(UserError, match=r"more than max_bad=0\.0"):
        splits_of(annotations, max_bad=0.0)


def test_a_wrong_subset_and_an_unknown_label_are_named(annotations):
    with pytest.raises(FormatError, match="'test'; subsets present: training, validation"):
        splits_of(annotations, test_subset="test")
    content = json.loads(annotations.read_text())
    content["database"]["v2"]["annotations"].append({"label": "sing", "segment": [0, 1]})
    annotations.write_text(json.dumps(content, indent=1))
    with pytest.raises(FormatError, match=r"annotations\.json:\d+: .*one of the 2 known labels, found 'sing'"):
        splits_of(annotations)
    with formats.without_bad_rows() as left:
        *_, test = splits_of(annotations)
    assert len(left) == 1 and [len(video.segments) for video in test.videos] == [1, 1, 1]


def test_segments_past_the_end_are_kept_and_counted(annotations):
    content = json.loads(annotations.read_text())
    content["database"]["v0"]["annotations"].append({"label": "jump", "segment": [9, 10.5]})
    annotations.write_text(json.dumps(content))
    assert [each.past_end for each in splits_of(annotations)] == [0, 0, 1]


def test_scores_of_videos_follow_the_class_numbers(annotations):
    file = annotations.parent / "scores.json"
    file.write_text(json.dumps({"results": {"v0": [[0.1, 0.9]], "v1": [0.5, 0.5]}}))
    _, scores = untrimmed_splits(given(annotations, video_scores=str(file)))
    assert scores == {"v0": (0.1, 0.9), "v1": (0.5, 0.5)}
    file.write_text(json.dumps({"v0": [0.1, 0.2, 0.7]}, indent=1))
    with pytest.raises(FormatError, match=r"scores\.json:2: v0: expected 2 scores, one a class, found 3"):
        untrimmed_splits(given(annotations, video_scores=str(file)))
    content = json.loads(annotations.read_text())
    for entry in content["database"].values():
        for each in entry["annotations"]:
            each["label_id"] = {"wave": 0, "jump": 2}[each["label"]]
    annotations.write_text(json.dumps(content))
    (train, *_), scores = untrimmed_splits(given(annotations, video_scores=str(file)))
    assert train.classes == ["wave", "jump"] and scores == {"v0": (0.1, 0.7)}
    file.write_text(json.dumps({"v0": [0.1, 0.2]}))
    with pytest.raises(ParameterError, match=r"video_scores: .*2 scores of v0, but there is a class 2"):
        untrimmed_splits(given(annotations, video_scores=str(file)))


def long(length=100, segments=((10.0, 20.0), (90.0, 95.0))):
    features = torch.arange(float(length))[:, None].repeat(1, 2)
    return FeatureSequence("a", features, 0.0, 1.0, float(length), np.array(segments), np.array([0, 1]))


def test_seconds_and_grid_are_the_published_ones():
    video = formats.UntrimmedVideo("a", "a.mp4", "x", 10.0, 30.0, (formats.Segment("jump", 1.0, 3.0),))
    made = sequence(video, np.zeros((72, 2)), 0.5 * 16 / 30, 4 / 30, 10.0, ["jump"])
    torch.testing.assert_close(made.on_grid(made.segments), torch.tensor([[30 - 8, 90 - 8]]) / 4)
    np.testing.assert_allclose(made.in_seconds(made.on_grid(made.segments)), made.segments, atol=1e-6)
    assert made.in_seconds(torch.tensor([[-9.0, 1000.0]])).tolist() == [[0.0, 10.0]]
    resized = made.resized(20)
    assert resized.features.shape == (20, 2) and (resized.first, resized.step) == (0.25, 0.5)


def test_features_of_twice_the_rate_are_brought_to_the_windows_of_the_published_one():
    """ActivityNet: one every 16 frames of 30 a second, and segments on the grid of 16 frames of 15 a second."""
    times = 8 / 30 + 16 / 30 * np.arange(56)
    video = formats.UntrimmedVideo("a", "a.mp4", "x", 30.0, None, (formats.Segment("jump", 8 / 15, 24 / 15),))
    made = sequence(video, times[:, None], 8 / 30, 16 / 30, 30.0, ["jump"]).resized(28, 8 / 15, 16 / 15)
    np.testing.assert_allclose(made.features[:, 0], 8 / 15 + 16 / 15 * np.arange(28), rtol=1e-5)
    torch.testing.assert_close(made.on_grid(made.segments), torch.tensor([[0.0, 1.0]]))


def test_a_sequence_that_is_too_long_is_cut_to_the_longest_and_a_shorter_one_by_the_ratio():
    lengths = lambda longest, crop: {  # noqa: E731
        len(TrainingSequences([long()], list, longest, 0, crop=crop).item(0, epoch)["features"]) for epoch in range(20)
    }
    assert lengths(95, 0.5) == {95} and lengths(100, 1.0) == {100}
    assert min(lengths(100, 0.5)) >= 50 and len(lengths(100, 0.5)) > 5


def test_long_sequences_are_cut_where_something_happens_and_the_same_way_each_time():
    source = TrainingSequences([long()], list, 24, seed=3)
    cuts = [source.item(0, epoch) for epoch in range(20)]
    for item in cuts:
        assert len(item["features"]) <= 24 and len(item["segments"]) == len(item["labels"]) >= 1
        start = float(item["features"][0, 0])
        for (low, high), label in zip(item["segments"] + start, item["labels"]):
            whole = long().segments[label]
            assert high - low >= 0.5 * (whole[1] - whole[0]) and low >= whole[0] and high <= whole[1]
    assert len({float(item["features"][0, 0]) for item in cuts}) > 3
    torch.testing.assert_close(source.item(0, 5)["features"], cuts[5]["features"])
    whole = TrainingSequences([long()], list, 100, seed=3).item(0, 0)
    torch.testing.assert_close(whole["segments"], torch.tensor([[10.0, 20], [90, 95]]))


def test_published_features_are_found_by_their_names_and_what_is_none_is_refused(tmp_path):
    video = formats.UntrimmedVideo("x", "/videos/x.mp4", "x", None, None, ())
    with pytest.raises(UserError, match=r"expected x\.npy"):
        published_features(str(tmp_path), video, 4, 16, 30.0)
    np.save(tmp_path / "v_x.npy", np.ones((5, 2)))
    features, first, step, duration = published_features(str(tmp_path), video, 4, 16, 30.0)
    assert features.shape == (5, 2) and (first, step, duration) == (8 / 30, 4 / 30, 36 / 30)
    assert published_features(str(tmp_path), replace(video, duration=3.0), 0, 16)[1:3] == pytest.approx((0.3, 0.6))
    with pytest.raises(ParameterError, match=r"feature_stride = 0: .* how long x is"):
        published_features(str(tmp_path), video, 0, 16, 30.0)
    with pytest.raises(ParameterError, match=r"default_fps = 0: .* frames a second of x"):
        published_features(str(tmp_path), video, 4, 16)
    of_25 = replace(video, fps=25.0)
    steps = [published_features(str(tmp_path), of_25, 4, 16, fps)[2] for fps in (0.0, 30.0)]
    assert steps == [4 / 25, 4 / 30], "a rate that is given counts before that of the annotations"
    (tmp_path / "x.npy").write_bytes(b"text")
    with pytest.raises(UserError, match="no array of numbers"):
        published_features(str(tmp_path), video, 4, 16, 30.0)
    (tmp_path / "x.npy").write_bytes(b"")
    with pytest.raises(UserError, match="no array of numbers"):
        published_features(str(tmp_path), video, 4, 16, 30.0)
    wrongs = (
        np.ones(3),
        np.ones((0, 2)),
        np.ones((2, 0)),
        np.full((2, 2), np.nan),
        np.full((2, 2), 1e300),
        np.ones((2, 2), complex),
    )
    for wrong in (*wrongs, np.array([["a"]]), {"x": 1}):
        with pytest.raises(UserError, match="must be finite numbers"):
            sequence(video, wrong, 0.0, 1.0, 1.0, [])
