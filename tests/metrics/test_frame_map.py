"""Frame-mAP equals that of AVA's published evaluator, on its cases and by hand; what cannot be scored is refused."""

import csv
import math

import numpy as np
import pytest

from ivcore.data.formats import read_ava_actions, read_ava_csv, read_ava_excluded
from ivcore.errors import ParameterError
from ivcore.metrics.frame_map import Boxes, frame_scores, iou

LEFT, RIGHT = (0.0, 0.0, 0.4, 1.0), (0.5, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def case(golden, tmp_path_factory):
    """Truth, predictions and scored classes of the published case, through our readers."""
    texts, folder = golden("ava_frame_map.json"), tmp_path_factory.mktemp("ava")
    reading = {"ground_truth_csv": read_ava_csv, "exclusions_csv": read_ava_excluded, "label_map_pbtxt": read_ava_actions}  # fmt: skip
    found = {}
    for name, read in reading.items():
        (folder / name).write_text(texts[name])
        found[name] = read(folder / name)
    left_out = {f"{video},{second}" for video, second in found["exclusions_csv"]}
    truth, detected = found["ground_truth_csv"], list(csv.reader(texts["detections_csv"].splitlines()))
    rows = [(r.video_id, r.timestamp, *r.box, r.action) for r in truth], detected
    truth, boxes = (columns(each).without(left_out) for each in rows)
    return truth, boxes, {action.id: action.name for action in found["label_map_pbtxt"]}, texts["expected"]


def columns(rows) -> Boxes:
    """Boxes of rows (video, timestamp, x1, y1, x2, y2, action); predictions add a score."""
    frames = [f"{row[0]},{float(row[1])}" for row in rows]
    scores = [float(row[7]) for row in rows] if len(rows[0]) > 7 else None
    return Boxes(frames, [[*map(float, row[2:6])] for row in rows], [int(row[6]) for row in rows], scores)


def test_equals_the_published_evaluator(case):
    truth, found, names, expected = case
    scores = frame_scores(truth, found, names)
    assert scores.frame_map == pytest.approx(expected["PascalBoxes_Precision/mAP@0.5IOU"], rel=1e-9)
    for label, name in names.items():
        published = expected[f"PascalBoxes_PerformanceByCategory/AP@0.5IOU/{name}"]
        assert scores.ap[label] == pytest.approx(math.nan if published is None else published, nan_ok=True, rel=1e-9)


def test_neither_the_order_nor_the_names_of_keyframes_matter(case):
    truth, found, names, _ = case
    rng = np.random.default_rng(0)
    mixed = (boxes.take(rng.permutation(len(boxes))) for boxes in (truth, found))
    other = [Boxes([frame[::-1] for frame in b.frame], b.box, b.label, b.score) for b in mixed]
    assert frame_scores(*other, names).frame_map == pytest.approx(frame_scores(truth, found, names).frame_map)


def test_a_box_that_fits_has_precision_one():
    truth = Boxes(["a"], [LEFT], [1])
    assert frame_scores(truth, Boxes(["a"], [LEFT], [1], [0.01]), [1]).frame_map == 1
    assert frame_scores(truth, Boxes(["b"], [LEFT], [1], [0.01]), [1]).frame_map == 0, "on another keyframe"
    assert frame_scores(truth, Boxes(["a"], [LEFT], [2], [0.01]), [1, 2]).frame_map == 0, "of another class"
    assert frame_scores(truth, Boxes(["a"], [RIGHT], [1], [0.01]), [1]).frame_map == 0, "elsewhere"


def test_an_iou_of_exactly_the_threshold_is_enough():
    whole, half = (0, 0, 1, 1), (0, 0, 0.5, 1)
    assert iou(np.array(whole), np.array(half)) == 0.5
    assert frame_scores(Boxes(["a"], [whole], [1]), Boxes(["a"], [half], [1], [1]), [1]).frame_map == 1
    less = (0, 0, 0.499, 1)
    assert frame_scores(Boxes(["a"], [whole], [1]), Boxes(["a"], [less], [1], [1]), [1]).frame_map == 0


def test_right_wrong_right_of_two_is_five_sixths():
    truth = Boxes(["a", "b"], [LEFT, LEFT], [1, 1])
    found = Boxes(["b", "a", "a"], [LEFT, LEFT, RIGHT], [1, 1, 1], [0.5, 0.9, 0.7])
    assert frame_scores(truth, found, [1]).frame_map == pytest.approx((1 + 2 / 3) / 2)


def test_the_second_box_on_a_true_one_is_wrong_even_where_another_is_free():
    """Published: a prediction asks for its nearest true box alone."""
    near, far = (0.0, 0.0, 0.5, 1.0), (0.1, 0.0, 0.6, 1.0)
    found = Boxes(["a", "a"], [near, near], [1, 1], [0.9, 0.8])
    assert frame_scores(Boxes(["a", "a"], [near, far], [1, 1]), found, [1]).frame_map == 0.5


def test_classes_that_are_not_scored_or_do_not_occur_leave_the_mean_alone():
    truth = Boxes(["a", "a"], [LEFT, RIGHT], [1, 7])
    found = Boxes(["a", "a", "a"], [LEFT, RIGHT, LEFT], [1, 3, 7], [0.5, 0.9, 0.9])
    scores = frame_scores(truth, found, [1, 3])
    assert scores.ap[1] == scores.frame_map == 1 and math.isnan(scores.ap[3]) and 7 not in scores.ap


def test_several_sets_count_as_one():
    """Not the mean of the sets' scores: predictions of both rank in one list."""
    ava = Boxes(["a"], [LEFT], [1]), Boxes(["a", "a"], [RIGHT, LEFT], [1, 1], [0.4, 0.3])
    kinetics = Boxes(["k"], [LEFT], [1]), Boxes(["k"], [LEFT], [1], [0.9])
    alone = [frame_scores(*pair, [1]).frame_map for pair in (ava, kinetics)]
    both = frame_scores(*(Boxes.together(parts) for parts in zip(ava, kinetics)), [1]).frame_map
    assert alone == [0.5, 1] and both == pytest.approx((1 + 2 / 3) / 2)


def test_predictions_without_an_area_do_not_count():
    truth, flat = Boxes(["a"], [LEFT], [1]), (0.2, 0.2, 0.2, 0.9)
    assert frame_scores(truth, Boxes(["a", "a"], [flat, LEFT], [1, 1], [0.9, 0.5]), [1]).frame_map == 1


def test_frame_map_without_predictions_is_zero():
    assert frame_scores(Boxes(["a"], [LEFT], [1]), Boxes([], [], [], []), [1]).frame_map == 0


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ParameterError, match="at least one box of a scored class"):
        frame_scores(Boxes(["a"], [LEFT], [1]), Boxes([], [], [], []), [2])
    with pytest.raises(ParameterError, match="expected one length"):
        Boxes(["a", "b"], [LEFT], [1])
    with pytest.raises(ParameterError, match="score holds numbers that are not finite"):
        Boxes(["a"], [LEFT], [1], [math.nan])
