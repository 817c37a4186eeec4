"""From a motion to a pose. Nothing here needs the simulator."""

import numpy as np
import pytest

from ivcore.data.bodies import pose
from ivcore.data.bodies.models import BODIES


@pytest.mark.parametrize("name", BODIES)
def test_a_standing_body_is_a_quarter_turn_from_a_lying_one(name):
    body = BODIES[name]
    natural = np.pi / 2 if body.flat else 0
    assert np.allclose(pose.attitude(body, None, 0.3, 20)[2], [0, 0, 1])
    assert np.allclose(pose.attitude(body, natural, 0.3, 20), pose.attitude(body, None, 0.3, 20))
    other = pose.attitude(body, np.pi / 2 - natural, 0.3, 20)
    assert np.isclose(np.linalg.det(other), 1) and np.isclose(other[2, 2], 0)


@pytest.mark.parametrize("azimuth", [0, 70, 200])
@pytest.mark.parametrize("name", BODIES)
def test_unturned_it_shows_its_side_from_everywhere(name, azimuth):
    """The axis of a figure's hinges, y, points at the camera."""
    axis = pose.attitude(BODIES[name], None, 0, azimuth) @ [0, 1, 0]
    assert np.allclose(axis[:2], pose.ground_place(np.array([0, 1]), azimuth))


def test_a_swing_that_leaves_the_range_moves_the_rest_and_is_not_cut():
    swing = 0.5 * np.sin(np.linspace(0, 6, 30))
    angles = pose.angles((0.4, 1.4), -1.0, swing)
    assert np.allclose(angles - angles[0], swing - swing[0]) and angles.min() >= 0.9 - 0.75 - 1e-9


def test_a_swing_wider_than_the_range_is_cut():
    assert np.abs(pose.angles((-0.2, 0.2), 0.0, np.linspace(-1, 1, 9))).max() == pytest.approx(0.3)


def test_right_is_right_of_where_the_camera_looks():
    away, right = pose.ground_place(np.array([0, 1]), 30), pose.ground_place(np.array([1, 0]), 30)
    assert np.allclose(away, [np.cos(np.pi / 6), 0.5]) and np.allclose([-right[1], right[0]], away)
