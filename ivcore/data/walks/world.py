"""MiniWorld draws a scene along the camera's path. Chevalier-Boisvert et al. 2023 (arXiv 2306.13831), Apache-2.0."""

import contextlib
import ctypes.util
import functools
import importlib.util
import io
import os

import numpy as np

from ivcore.data.walks.scenes import MESHES, SKIES, Scene, Thing
from ivcore.errors import UserError


def require_simulator() -> None:
    """UserError that says what to install, unless MiniWorld and GL libraries that draw without a screen are installed."""
    if importlib.util.find_spec("miniworld") is None:
        raise UserError(
            "MiniWorld is not installed: `make sim`, or `pip install 'ivcore[sim]'` (and Debian's libegl1 libglu1-mesa)"
        )
    lacking = [name for name in ("EGL", "GL", "GLU") if not ctypes.util.find_library(name)]
    if lacking:
        raise UserError(
            f"lib{lacking[0]} is not installed: `make sim`, or `apt-get install libegl1 libgl1 libglu1-mesa libgl1-mesa-dri`"
        )


def render(scene: Scene, size: int) -> np.ndarray:
    """The scene's frames, uint8 (frames, size, size, 3)."""
    world = _world(size)
    world.scene = scene
    world.reset(seed=scene.seed)
    frames = []
    for x, z, direction, height in scene.poses:
        world.agent.pos, world.agent.dir = np.array([x, 0.0, z]), float(direction)
        world.agent.cam_height = float(height)
        frames.append(world.render_obs())
    return np.stack(frames)


@functools.lru_cache(maxsize=1)
def _world(size: int):
    """The only world of a process, since it holds a GL context. It is furnished anew for each scene."""
    os.environ["PYGLET_HEADLESS"] = "True"  # read when pyglet is imported
    from miniworld.miniworld import MiniWorldEnv

    class World(MiniWorldEnv):
        scene: Scene | None = None

        def _gen_world(self):
            _furnish(self, self.scene)

        def reset(self, **arguments):
            if self.scene is None:  # the library calls reset when the world is made
                return None
            answer = super().reset(**arguments)
            self.agent.cam_pitch, self.agent.cam_fov_y = self.scene.pitch, self.scene.fov
            self.agent.cam_fwd_disp = 0.0
            if self.scene.sky:
                self.sky_color = np.array(SKIES[self.scene.sky])
            return answer

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its number of samples
        return World(obs_width=size, obs_height=size, window_width=size, window_height=size, domain_rand=True)


def _furnish(world, scene: Scene) -> None:
    floor, wall, ceiling, next_floor, next_wall = scene.textures
    shared = {"wall_height": scene.wall_height, "no_ceiling": bool(scene.sky), "ceil_tex": ceiling}
    room = _room(world, scene.room, floor_tex=floor, wall_tex=wall, **shared)
    if scene.next_room:
        other = _room(world, scene.next_room, floor_tex=next_floor, wall_tex=next_wall, **shared)
        middle = (scene.room.z0 + scene.room.z1) / 2
        world.connect_rooms(room, other, min_z=middle - 0.9, max_z=middle + 0.9, max_y=2.1)
    for thing in scene.things:
        entity = _entity(thing)
        world.place_entity(entity, pos=np.array([thing.x, 0.0, thing.z]), dir=thing.turn)
    x, z, direction, _ = scene.poses[0]
    world.place_agent(pos=np.array([x, 0.0, z]), dir=float(direction))


def _room(world, box, **looks):
    return world.add_rect_room(min_x=box.x0, max_x=box.x1, min_z=box.z0, max_z=box.z1, **looks)


def _entity(thing: Thing):
    from miniworld.entity import Ball, Box, MeshEnt

    if thing.kind == "box":
        return Box(thing.colour, size=thing.size)
    if thing.kind == "ball":
        return Ball(thing.colour, size=thing.size)
    if thing.kind == "key":
        return MeshEnt(mesh_name=f"key_{thing.colour}", height=thing.size, static=False)
    mesh, height, _, _ = MESHES[thing.kind]
    return MeshEnt(mesh_name=mesh, height=height)
