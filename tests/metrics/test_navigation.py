"""Navigation's measures against those of the released code (golden), and by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from ivcore.errors import ParameterError
from ivcore.metrics.navigation import MEASURES, dense, fast_dtw, navigation_scores

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vln_metrics.json").read_text())
CASES = GOLDEN["cases"]
each_case = pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))


def dtw(a, b) -> float:
    """Dynamic time warping through the whole table, which `fast_dtw` approximates."""
    apart = np.linalg.norm(np.asarray(a, float)[:, None] - np.asarray(b, float)[None], axis=-1)
    cost = np.full((len(a) + 1, len(b) + 1), np.inf)
    cost[0, 0] = 0
    for i, j in np.ndindex(apart.shape):
        cost[i + 1, j + 1] = apart[i, j] + min(cost[i, j + 1], cost[i + 1, j], cost[i, j])
    return cost[-1, -1]


def scores(case: dict) -> dict:
    given = case["agent_path"], case["distances_to_goal_along_path"], case["stopped"], case["reference_path_dense"]
    return navigation_scores(*given, within=case["success_distance"])


@each_case
def test_an_episode_scores_as_published(case):
    assert scores(case) == pytest.approx(case["expected"], rel=1e-9, abs=1e-12)


@each_case
def test_warping_costs_as_published(case):
    a, b = case["agent_path"], case["reference_path_dense"]
    assert fast_dtw(a, b) == pytest.approx(case["fastdtw_distance"], rel=1e-9)
    assert dtw(a, b) == pytest.approx(case["exact_dtw_distance"], rel=1e-9)


@each_case
def test_a_reference_becomes_dense_as_published(case):
    np.testing.assert_allclose(dense(case["reference_path_waypoints"]), case["reference_path_dense"], atol=1e-9)


def test_means_over_episodes():
    measured = [scores(case) for case in CASES]
    means = {name: float(np.mean([one[name] for one in measured])) for name in MEASURES}
    assert means == pytest.approx(GOLDEN["mean"], rel=1e-9)


def test_the_approximation_is_never_cheaper():
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(n, 3)).cumsum(0), rng.normal(size=(m, 3)).cumsum(0)) for n, m in rng.integers(1, 40, (40, 2))]  # fmt: skip
    costs = np.array([(fast_dtw(a, b), dtw(a, b)) for a, b in pairs])
    assert (costs[:, 0] >= costs[:, 1] - 1e-9).all() and (costs[:, 0] > costs[:, 1] + 1e-9).any()


def test_an_agent_that_stands_on_its_goal_gets_full_scores():
    stood = navigation_scores([[0, 0, 0]], [0.0], True, [[0, 0, 0]])
    assert stood == {"distance_to_goal": 0, "path_length": 0, "success": 1, "oracle_success": 1, "spl": 1, "ndtw": 1}


def test_bad_paths_are_told():
    with pytest.raises(ParameterError, match="distances: 1 for 2"):
        navigation_scores([[0, 0, 0], [1, 0, 0]], [1.0], True, [[0, 0, 0]])
    with pytest.raises(ParameterError, match="path: has shape"):
        fast_dtw([[0, 0]], [[0, 0, 0]])
