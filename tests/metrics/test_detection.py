"""Detection scores equal the published evaluators', on their cases and by hand; what cannot be scored is refused."""

import numpy as np
import pytest

from ivcore.errors import ParameterError
from ivcore.metrics.detection import (
    THUMOS14,
    Events,
    average_precision,
    detection_scores,
    distinct,
    fuse_video_scores,
    tiou,
)

CASES = ("thumos_thresholds", "activitynet_thresholds", "class_without_predictions_and_class_without_ground_truth")


@pytest.fixture(scope="module", params=CASES)
def case(request, golden):
    return {case["name"]: case for case in golden("detection_map.json")["cases"]}[request.param]


def truth_of(case, **how):
    rows = [
        (name, annotation["segment"], annotation["label_id"])
        for name, video in case["ground_truth"].items()
        for annotation in video["annotations"]
        if video["subset"].lower() == case["split"]
    ]
    return distinct(Events(*map(list, zip(*rows))), **how)


def found_of(case):
    video, start, end, label, score = zip(*case["predictions"]["rows"])
    return Events(video, np.stack([start, end], 1), label, score)


def test_equals_the_published_evaluator(case):
    truth, expected = truth_of(case), case["expected"]
    scores = detection_scores(truth, found_of(case), case["tiou_thresholds"])
    assert len(truth) == expected["n_ground_truth"]
    assert list(scores.classes) == expected["classes"]
    np.testing.assert_allclose(scores.ap, expected["ap_per_threshold_and_class"], rtol=1e-6)
    np.testing.assert_allclose(scores.map_per_threshold, expected["mAP_per_threshold"], rtol=1e-6)
    assert scores.average_map == pytest.approx(expected["average_mAP"], rel=1e-6)
    for column, k in enumerate((1, 5)):
        np.testing.assert_allclose(scores.recall[:, column], expected[f"recall_at_{k}x_per_threshold"], rtol=1e-6)


def test_with_empty_annotations_kept_equals_internvideos_copy(case):
    truth, expected = truth_of(case, shortest=0), case["expected_internvideo_copy"]
    scores = detection_scores(truth, found_of(case), case["tiou_thresholds"])
    assert len(truth) == expected["n_ground_truth"]
    np.testing.assert_allclose(scores.map_per_threshold, expected["mAP_per_threshold"], rtol=1e-6)
    assert scores.average_map == pytest.approx(expected["average_mAP"], rel=1e-6)


def test_the_order_of_predictions_does_not_matter(case):
    truth, found = truth_of(case), found_of(case)
    shuffled = found.take(np.random.default_rng(0).permutation(len(found)))
    np.testing.assert_array_equal(detection_scores(truth, found).ap, detection_scores(truth, shuffled).ap)


@pytest.mark.parametrize("variant", ["actionformer_release", "internvideo"])
def test_fusion_equals_the_published_one(golden, variant):
    case = {case["variant"]: case for case in golden("detection_map.json")["score_fusion"]["cases"]}[variant]

    def events(table):
        segment = np.stack([table["t-start"], table["t-end"]], 1)
        return Events(table["video-id"], segment, table["label"], table["score"])

    fused = fuse_video_scores(
        events(case["results"]), case["cls_scores"], segments=case["num_pred"], classes=case["topk"]
    )
    expected = events(case["expected"])
    np.testing.assert_array_equal(fused.video, expected.video)
    np.testing.assert_array_equal(fused.label, expected.label)
    np.testing.assert_array_equal(fused.segment, expected.segment)
    np.testing.assert_allclose(fused.score, expected.score, rtol=1e-6)


def test_average_precision_by_hand():
    assert average_precision(np.array([[True, False, True]]), 2) == pytest.approx(5 / 6)
    assert average_precision(np.array([[True, True]]), 2) == 1
    assert average_precision(np.zeros((1, 0), bool), 3) == 0


def test_overlap_by_hand():
    a, b = np.array([[0.0, 2.0], [5.0, 5.0]]), np.array([[1.0, 3.0], [5.0, 5.0], [7.0, 9.0]])
    np.testing.assert_allclose(tiou(a, b), [[1 / 3, 0, 0], [0, 0, 0]])


def test_a_segment_is_found_once_and_perfect_predictions_score_one():
    truth = Events(["a", "a", "b"], [[0, 2], [3, 5], [1, 4]], [0, 0, 1])
    perfect = Events(truth.video, truth.segment, truth.label, [0.9, 0.8, 0.7])
    assert detection_scores(truth, perfect, THUMOS14).average_map == 1
    twice = Events(["a", "a", "b"], [[0, 2], [0, 2], [1, 4]], [0, 0, 1], [0.9, 0.8, 0.7])
    assert detection_scores(truth, twice, (0.5,)).average_map == pytest.approx(0.75)
    elsewhere = Events(["c", "c", "c"], truth.segment, truth.label, [0.9, 0.8, 0.7])
    assert detection_scores(truth, elsewhere, (0.5,)).average_map == 0


def test_what_cannot_be_scored_is_refused():
    none = Events([], [], [], [])
    with pytest.raises(ParameterError, match="truth"):
        detection_scores(Events([], [], []), none)
    with pytest.raises(ParameterError, match="one length"):
        Events(["a"], [[0, 1], [1, 2]], [0])
    with pytest.raises(ParameterError, match="score holds numbers that are not finite"):
        Events(["a"], [[0, 1]], [0], [float("nan")])
    with pytest.raises(ParameterError, match="none for the video a"):
        fuse_video_scores(Events(["a"], [[0, 1]], [0], [0.5]), {}, segments=1)
    assert detection_scores(Events(["a"], [[0, 1]], [0]), none).average_map == 0
