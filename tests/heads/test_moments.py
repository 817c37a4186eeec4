"""Stretches in which a label leads."""

import numpy as np
import pytest

from ivcore.errors import ParameterError
from ivcore.heads.moments import moments, smoothed


@pytest.mark.parametrize("reach", [0, 1, 2, 5, 50])
def test_every_window_gets_the_mean_of_those_around_it(reach):
    values = np.random.default_rng(0).random((9, 3))
    expected = [values[max(0, n - reach) : n + reach + 1].mean(0) for n in range(9)]
    np.testing.assert_allclose(smoothed(values, reach), expected)


def test_a_flicker_is_smoothed_and_a_stretch_is_found():
    probabilities = np.full((40, 2), [0.8, 0.2])
    probabilities[20:30] = [0.2, 0.8]
    probabilities[7] = [0.3, 0.7]
    starts = np.arange(40) * 0.5
    found = moments(probabilities, starts, starts + 2.0, smooth=2.0)
    assert [m.label for m in found] == [0, 1, 0]
    assert [(m.start, m.end) for m in found] == [(0.0, 10.75), (10.75, 15.75), (15.75, 21.5)]
    assert found[1].score == pytest.approx(0.8) and (found[1].first, found[1].stop) == (20, 30)
    assert len(moments(probabilities, starts, starts + 2.0, smooth=0.1)) == 5


def test_moments_cover_the_video_also_of_one_window_or_one_label():
    (only,) = moments(np.array([[0.1, 0.9]]), np.array([0.0]), np.array([3.0]), 5.0)
    assert (only.label, only.start, only.end) == (1, 0.0, 3.0)
    (same,) = moments(np.ones((5, 1)), np.arange(5.0), np.arange(5.0) + 1, 5.0)
    assert (same.start, same.end, same.score) == (0.0, 5.0, 1.0)


def test_a_reach_below_nothing_is_refused():
    with pytest.raises(ParameterError, match="at least 0"):
        smoothed(np.ones((2, 2)), -1)
