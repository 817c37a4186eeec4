"""MiniWorld draws what the ray caster draws of a floor plan, where it is installed."""

import importlib.util

import numpy as np
import pytest

from ivcore.data.navigation import miniworld
from ivcore.data.navigation.plans import plan_named
from ivcore.data.navigation.ray_caster import RayCaster
from ivcore.errors import UserError

INSTALLED = importlib.util.find_spec("miniworld") is not None


@pytest.mark.skipif(INSTALLED, reason="MiniWorld is installed")
def test_without_it_one_is_told_what_to_install():
    with pytest.raises(UserError, match="make sim"):
        miniworld.MiniWorld(16, 60)


@pytest.mark.skipif(not INSTALLED, reason="MiniWorld is not installed: make sim")
@pytest.mark.parametrize("number", [0, 1])
def test_it_shows_the_same_rooms_at_the_same_distances(number):
    plan = plan_named(f"plan-0-0-{number:04d}")
    facing = np.pi / 4 * np.arange(8)
    places = [plan.rooms[4].middle] * 8
    (rgb, depth), (_, ours) = (each(24, 60).draw(plan, places, facing) for each in (miniworld.MiniWorld, RayCaster))
    assert rgb.shape == (8, 24, 24, 3) and rgb.dtype == np.uint8 and depth.dtype == np.float32
    # Walls are thicker there, and things have other outlines: most of a picture is alike.
    off = np.abs(depth - ours) / ours
    assert np.median(off) < 0.08 and np.corrcoef(depth.ravel(), ours.ravel())[0, 1] > 0.7
