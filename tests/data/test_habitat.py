"""The adapter to Habitat, over a fake that has of habitat_sim.Simulator what the adapter asks, and walks on a bare floor with one wall."""

from types import SimpleNamespace

import numpy as np
import pytest

from ivcore.data.formats import Episode
from ivcore.data.navigation import habitat
from ivcore.data.navigation.simulator import Waypoint, along, expert_action
from ivcore.errors import UserError

WALL = 2.0  # x beyond which nobody comes
EPISODE = Episode("1", "house.glb", (0.0, 0.5, 0.0), 0.0, (0.0, 0.5, 4.0), "walk", ((0.0, 0.5, 0.0), (0.0, 0.5, 4.0)))


class Finder:
    def is_navigable(self, place):
        return bool(place[0] < WALL and abs(place[2]) < 6 and abs(place[0]) < 6)

    def try_step(self, start, end):
        return np.array([min(end[0], WALL - 0.01), end[1], end[2]], np.float32)

    def find_path(self, path):
        path.geodesic_distance = float(np.linalg.norm(path.requested_end - path.requested_start))
        return path.requested_start[0] < WALL


class Scene:
    """A camera that shows which way it looks: red is the forward vector's x, green its z."""

    def __init__(self):
        self.pathfinder = Finder()
        self.state = SimpleNamespace(position=np.zeros(3), rotation=[0, 0, 0, 1])

    def get_agent(self, number):
        assert number == 0
        return SimpleNamespace(get_state=lambda: SimpleNamespace(**vars(self.state)), set_state=self.set_state)

    def set_state(self, state):
        assert isinstance(state.rotation, list)
        self.state = state

    def get_sensor_observations(self):
        x, y, z, w = self.state.rotation
        forward = -np.array([2 * (x * z + w * y), 0, 1 - 2 * (x * x + y * y)])  # -z, turned
        rgb = np.zeros((4, 4, 4), np.uint8)
        rgb[..., 0], rgb[..., 1], rgb[..., 3] = *(127.5 + 127 * forward[[0, 2]]).round(), 255
        return {"rgb": rgb, "depth": np.full((4, 4), self.state.position[2], np.float32)}


@pytest.fixture
def simulator():
    each = habitat.HabitatSimulator(lambda scene: Scene(), SimpleNamespace, headings=4, reach=1.5)
    each.reset(EPISODE)
    return each


def test_views_look_where_they_are_said_to(simulator):
    rgb, depth = simulator.look([(0, 0.5, 3.0)] * 4, range(4))
    assert rgb.shape == (4, 4, 4, 3) and depth.shape == (4, 4, 4) and (depth == 3).all()
    forward = (rgb[:, 0, 0, :2].astype(float) - 127.5) / 127
    np.testing.assert_allclose(forward, along(np.pi / 2 * np.arange(4))[:, ::2], atol=0.01)


def test_it_walks_slides_and_counts(simulator):
    simulator.go_to(Waypoint(1, np.pi / 2, 1.0))
    np.testing.assert_allclose(simulator.path[-1], (0, 0.5, 1.0), atol=1e-5)
    assert len(simulator.path) == 5 and simulator.collisions == 0
    simulator.go_to(Waypoint(0, 0.2, 3.0))
    assert simulator.path[-1][0] < WALL and simulator.collisions > 0


def test_ways_and_the_expert(simulator):
    ways = simulator.waypoints()
    assert {way.view for way in ways} == {0, 1, 2, 3}
    assert max(way.distance for way in ways) <= 1.5
    assert expert_action(simulator, ways).view == 1  # the goal lies along z
    assert simulator.geodesic((0, 0.5, 1.0)) == pytest.approx(3.0)
    assert simulator.geodesic((3.0, 0.5, 1.0)) == np.inf


def test_what_is_missing_is_told(simulator):
    with pytest.raises(UserError, match="its goal is not told"):
        simulator.reset(Episode("9", "house.glb", (0, 0, 0), 0.0, None, "walk"))
    with pytest.raises(UserError, match="Habitat-Sim is not installed"):
        habitat.habitat("scenes", 12, 224, 90.0, 1.5)
