"""Recall of answers in time, by hand and against a plain loop."""

import numpy as np
import pytest

from ivcore.errors import ParameterError
from ivcore.metrics.span import span_scores


def test_by_hand():
    truth = np.array([[0.0, 10.0], [5.0, 10.0]])
    found = [np.array([[20, 30], [0, 5]]), np.array([[5, 10], [0, 1]])]
    scores = span_scores(truth, found)
    assert scores == {
        "r1_0.3": 0.5,
        "r1_0.5": 0.5,
        "r5_0.3": 1.0,
        "r5_0.5": 0.5,
        "mean_iou": 0.5,
    }  # 0.5 is not above 0.5


def plainly(truth, found, n, threshold):
    hits = 0
    for (start, end), spans in zip(truth, found):
        for a, b in spans[:n]:
            shared = min(b, end) - max(a, start)
            if shared > 0 and shared / (max(b, end) - min(a, start)) > threshold:
                hits += 1
                break
    return hits / len(truth)


def test_against_a_plain_loop():
    rng = np.random.default_rng(0)
    truth = np.sort(rng.uniform(0, 20, (50, 2)), 1)
    found = [np.sort(rng.uniform(0, 20, (rng.integers(0, 8), 2)), 1) for _ in truth]
    scores = span_scores(truth, found)
    for n in (1, 5):
        for threshold in (0.3, 0.5):
            assert scores[f"r{n}_{threshold:g}"] == pytest.approx(plainly(truth, found, n, threshold))


@pytest.mark.parametrize("truth, found", [(np.zeros((0, 2)), []), (np.zeros((2, 2)), [np.zeros((1, 2))])])
def test_a_list_of_answers_for_each_query(truth, found):
    with pytest.raises(ParameterError, match="expected one for each"):
        span_scores(truth, found)
