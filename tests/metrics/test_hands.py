"""Displacements of hands, by hand."""

import numpy as np
import pytest

from ivcore.errors import ParameterError
from ivcore.metrics.hands import displacements


def test_only_hands_that_are_seen_count():
    truth = np.full((2, 5, 2, 2), np.nan)
    truth[0, 0, 0], truth[0, 4, 0], truth[1, 2, 0] = (10, 10), (0, 0), (5, 5)
    found = np.zeros((2, 5, 2, 2))
    found[0, 0, 0], found[0, 4, 0], found[1, 2, 0] = (13, 14), (0, 2), (5, 5)
    scores = displacements(truth.reshape(2, 20), found.reshape(2, 20))
    assert scores["left_mean"] == pytest.approx((5 + 2 + 0) / 3) and scores["left_contact"] == 2
    assert np.isnan(scores["right_mean"]) and np.isnan(scores["right_contact"])
    assert scores["pre_45"] == 5 and scores["pre_15"] == 0 and np.isnan(scores["pre"])
    truth[1, 4, 1] = 3, 4
    scores = displacements(truth.reshape(2, 20), found.reshape(2, 20))
    assert scores["right_contact"] == 5 and scores["contact"] == (2 + 5) / 2


@pytest.mark.parametrize("found", [np.zeros((2, 19)), np.full((2, 20), np.nan)])
def test_a_wrong_prediction_is_refused(found):
    with pytest.raises(ParameterError, match="expected finite numbers"):
        displacements(np.zeros((2, 20)), found)
