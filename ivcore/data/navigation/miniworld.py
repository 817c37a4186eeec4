"""MiniWorld draws the floor plans: the same rooms, doorways and things, with its textures and light. Needs the extra `sim`, see `walks.world`."""

from __future__ import annotations

import contextlib
import functools
import io
import os

import numpy as np

from ivcore.data.navigation.plans import DOOR, FRAME, FloorPlan, Landmark
from ivcore.data.navigation.ray_caster import CEILING, EYE, TOPS
from ivcore.data.walks import require_simulator

GAP = 0.1  # metres, half a wall: MiniWorld's rooms stand apart, and doorways connect them
TEXTURES = ("brick_wall", "cinder_blocks", "concrete", "drywall", "stucco", "wood", "wood_planks", "rock")
FLOORS = ("floor_tiles_bw", "wood", "wood_planks", "marble", "concrete_tiles")


class MiniWorld:
    """Has the interface of `RayCaster`. UserError if MiniWorld is not installed."""

    def __init__(self, size: int, fov: float):
        require_simulator()
        self.world, self.fov = _world(size), fov

    def draw(self, plan: FloorPlan, places, facing) -> tuple[np.ndarray, np.ndarray]:
        """Draws n views from places (n, 2) towards facing (n,): uint8 (n, size, size, 3), and float32 (n, size, size), metres along the view."""
        world, seen = self.world, []
        if world.plan is not plan:
            world.plan = plan
            world.reset(seed=0)
        agent = world.agent
        agent.cam_height, agent.cam_pitch, agent.cam_fov_y, agent.cam_fwd_disp = EYE, 0.0, self.fov, 0.0
        for (x, z), heading in zip(np.asarray(places, float), np.asarray(facing, float)):
            agent.pos, agent.dir = np.array([x, 0.0, z]), -float(heading)
            seen.append((world.render_obs(), world.render_depth()))
        rgb, depth = zip(*seen)
        return np.stack(rgb), np.stack(depth).astype(np.float32).squeeze(-1)


@functools.lru_cache(maxsize=1)
def _world(size: int):
    """The only world of a process, since it holds a GL context."""
    os.environ["PYGLET_HEADLESS"] = "True"  # read when pyglet is imported
    from miniworld.miniworld import MiniWorldEnv

    class World(MiniWorldEnv):
        plan: FloorPlan | None = None

        def _gen_world(self):
            _furnish(self, self.plan)

        def reset(self, **arguments):
            # The library calls reset when the world is made.
            return None if self.plan is None else super().reset(**arguments)

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its number of samples
        return World(obs_width=size, obs_height=size, window_width=size, window_height=size)


def _furnish(world, plan: FloorPlan) -> None:
    from miniworld.entity import Box

    rooms = []
    for number, room in enumerate(plan.rooms):
        looks = {"wall_tex": _pick(TEXTURES, room.tint, number), "floor_tex": _pick(FLOORS, room.tint, number + 1)}
        inner = {"min_x": room.x0 + GAP, "max_x": room.x1 - GAP, "min_z": room.z0 + GAP, "max_z": room.z1 - GAP}
        rooms.append(world.add_rect_room(**inner, wall_height=CEILING, **looks))
    for door in plan.doors:
        span = {"min_z" if door.along else "min_x": (door.z if door.along else door.x) - DOOR / 2}
        span |= {"max_z" if door.along else "max_x": (door.z if door.along else door.x) + DOOR / 2}
        world.connect_rooms(*(rooms[number] for number in door.rooms), **span, max_y=CEILING - 0.3)
    for door in plan.doors:  # after all rooms are joined, since placing anything builds them
        for side in (-1, 1):
            for beside in (-1, 1):  # a painted board on each side of the wall, left and right of the opening
                off, aside = side * (GAP + 0.03), beside * (DOOR / 2 + FRAME / 2)
                x, z = (door.x + off, door.z + aside) if door.along else (door.x + aside, door.z + off)
                size = np.array([0.04, CEILING - 0.1, FRAME] if door.along else [FRAME, CEILING - 0.1, 0.04])
                world.place_entity(Box(door.colour, size=size), pos=np.array([x, 0.0, z]), dir=0.0)
    for thing in plan.landmarks:
        height = 0.4 if thing.kind == "key" else 0.0  # it lies flat; at this height its side and top are seen
        world.place_entity(_entity(thing), pos=np.array([thing.x, height, thing.z]), dir=0.0)
    world.place_agent(pos=np.array([*plan.rooms[0].middle[:1], 0.0, plan.rooms[0].middle[1]]), dir=0.0)


def _entity(thing: Landmark):
    from miniworld.entity import Ball, Box, MeshEnt

    top = TOPS[thing.kind]
    if thing.kind == "ball":
        return Ball(thing.colour, size=top)
    if thing.kind == "key":
        return MeshEnt(mesh_name=f"key_{thing.colour}", height=0.45, static=False)
    side = 0.7 if thing.kind == "box" else 0.45
    return Box(thing.colour, size=np.array([side, top, side]))


def _pick(names: tuple[str, ...], tint, number: int) -> str:
    """One of the names, the same one every time."""
    return names[int(1000 * sum(tint) + number) % len(names)]
