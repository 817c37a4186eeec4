"""A batch shows at most log n, at most the information itself, and nothing where there is none."""

import math

import pytest

from ivcore.metrics.information import gained, mutual_information


def test_small_batches_show_log_n_and_large_ones_the_information():
    assert math.log(4) - 0.1 < gained(4, 0.95, draws=4096, seed=0) < math.log(4)
    assert gained(256, 0.5, draws=8192, seed=0) == pytest.approx(mutual_information(0.5), abs=0.15)
    assert gained(8, 0.0, draws=512, seed=0) == pytest.approx(0, abs=1e-6)
