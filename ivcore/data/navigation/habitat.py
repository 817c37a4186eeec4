"""Adapts Habitat-Sim, by its documented interface, to the protocol of `simulator`. Habitat and Matterport3D's scenes are not included.

It uses this of a habitat_sim.Simulator: `get_agent(0)` with `get_state()` and `set_state(state)`, where a state has `position` and
`rotation` [x, y, z, w]; `get_sensor_observations()` with "rgb" and "depth"; and its `pathfinder`: `is_navigable(place)`,
`try_step(start, end)`, which slides along walls and returns the place that is reached, and `find_path(path)`, which fills in
`path.geodesic_distance`. The simulator in tests/data/test_habitat.py has no more than this.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ivcore.data.formats import Episode
from ivcore.data.navigation.simulator import STEP, Waypoint, along, open_ways
from ivcore.errors import UserError


class HabitatSimulator:
    """One agent in Habitat's scenes. open_scene(scene) -> habitat_sim.Simulator; shortest_path: habitat_sim.ShortestPath or an equivalent.

    The cameras of the published agent turn with it. Here the agent is turned to each view, so that a view keeps its direction.
    """

    def __init__(
        self, open_scene: Callable[[str], Any], shortest_path: Callable[[], Any], headings: int = 12, reach: float = 1.5
    ):
        self.open_scene, self.shortest_path, self.headings, self.reach = open_scene, shortest_path, headings, reach

    def reset(self, episode: Episode) -> None:
        if episode.goal is None:
            raise UserError(f"episode {episode.name!r}: its goal is not told, so nothing can be measured")
        self.scene, self.goal = self.open_scene(episode.scene), np.array(episode.goal, np.float32)
        self.path, self.heading, self.collisions = [np.array(episode.start, float)], episode.heading, 0

    def look(self, places: Sequence, views: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        agent, seen = self.scene.get_agent(0), []
        for place, view in zip(places, views):
            state = agent.get_state()
            state.position, state.rotation = np.asarray(place, np.float32), rotation(2 * math.pi * view / self.headings)
            agent.set_state(state)
            seen.append(self.scene.get_sensor_observations())
        rgb = np.stack([np.asarray(each["rgb"])[..., :3] for each in seen]).astype(np.uint8)
        return rgb, np.stack([np.asarray(each["depth"]).squeeze() for each in seen]).astype(np.float32)

    def waypoints(self) -> list[Waypoint]:
        navigable = self.scene.pathfinder.is_navigable

        def is_free(places: np.ndarray) -> np.ndarray:
            flat = [bool(navigable(place)) for place in places.reshape(-1, 3).astype(np.float32)]
            return np.array(flat).reshape(places.shape[:-1])

        return open_ways(is_free, self.path[-1], self.headings, self.reach)

    def go_to(self, waypoint: Waypoint) -> None:
        self.heading, left = waypoint.heading, waypoint.distance
        while left > 1e-6:
            here, length = self.path[-1], min(STEP, left)
            wanted = (here + length * along(self.heading)).astype(np.float32)
            there = np.array(self.scene.pathfinder.try_step(here.astype(np.float32), wanted), float)
            moved = float(np.linalg.norm((there - here)[[0, 2]]))
            self.collisions += moved < 0.9 * length
            if moved < 0.01:
                return
            self.path.append(there)
            left -= STEP

    def geodesic(self, place) -> float:
        """Metres to the goal; inf if there is no path."""
        path = self.shortest_path()
        path.requested_start, path.requested_end = np.asarray(place, np.float32), self.goal
        return float(path.geodesic_distance) if self.scene.pathfinder.find_path(path) else math.inf


def rotation(heading: float) -> list[float]:
    """Rotation [x, y, z, w] of an agent that looks along a heading; without rotation, Habitat's agent looks along -z."""
    turn = math.atan2(-math.cos(heading), -math.sin(heading))
    return [0.0, math.sin(turn / 2), 0.0, math.cos(turn / 2)]


def habitat(scenes: str, headings: int, size: int, fov: float, reach: float) -> HabitatSimulator:
    """Makes one from the installed Habitat-Sim. scenes: the folder that an episode's scene_id starts from. UserError if it or a scene is missing."""
    if importlib.util.find_spec("habitat_sim") is None:
        raise UserError("Habitat-Sim is not installed; it comes as conda package, see https://aihabitat.org")
    import habitat_sim

    opened: dict[str, Any] = {}

    def open_scene(scene: str):
        if scene not in opened:
            file = Path(scenes) / scene
            if not file.exists():
                raise UserError(f"{file}: is not there; Matterport3D's scenes are had from its authors")
            for other in opened.values():
                other.close()
            opened.clear()
            opened[scene] = habitat_sim.Simulator(_configuration(habitat_sim, str(file), size, fov))
        return opened[scene]

    return HabitatSimulator(open_scene, habitat_sim.ShortestPath, headings, reach)


def _configuration(habitat_sim, scene: str, size: int, fov: float):
    """One agent with a colour and a depth camera at 1.25 m, as in VLN-CE."""
    world, agent, cameras = habitat_sim.SimulatorConfiguration(), habitat_sim.AgentConfiguration(), []
    world.scene_id, world.allow_sliding = scene, True
    for name, kind in (("rgb", habitat_sim.SensorType.COLOR), ("depth", habitat_sim.SensorType.DEPTH)):
        camera = habitat_sim.CameraSensorSpec()
        camera.uuid, camera.sensor_type = name, kind
        camera.resolution, camera.hfov, camera.position = [size, size], fov, [0.0, 1.25, 0.0]
        cameras.append(camera)
    agent.sensor_specifications = cameras
    return habitat_sim.Configuration(world, [agent])
