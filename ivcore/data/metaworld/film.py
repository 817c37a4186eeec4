"""Films a play: pictures from one camera, and the outlines of gripper and things in the world.

Playing and filming are separate, so that failed plays render nothing and the frames are spread evenly over a play of any length.
"""

import copy
from collections.abc import Sequence

import numpy as np

from ivcore.data.metaworld.look import Look, project
from ivcore.data.metaworld.tasks import COLOURS, TASKS
from ivcore.data.offscreen import halved

ROBOT = "base"
GRIPPER = "right_hand"  # the body from the wrist on
_DRAWN = 3  # geometry groups from this number on are only for collisions
_PLACED = ("body_pos", "body_quat", "geom_pos", "geom_quat", "geom_rgba")  # what a reset changes in a model


class Film:
    """One task at one picture size. Setting it up costs as much as tens of frames, so keep it for all plays of the task."""

    def __init__(self, task: str, model, size: int):
        import mujoco

        self.task, self.size = TASKS[task], size
        self.model = copy.copy(model)
        self.model.vis.quality.shadowsize = 0  # shadows double the cost of a frame
        self.model.vis.quality.offsamples = 0  # drawing at twice the size also smooths, and is faster in software
        self.model.vis.global_.offwidth = self.model.vis.global_.offheight = 2 * size
        self.data = mujoco.MjData(self.model)
        self.original = copy.copy(self.model)
        self.renderer = mujoco.Renderer(self.model, 2 * size, 2 * size)
        self.options = mujoco.MjvOption()
        self.options.sitegroup[:] = 0  # goal markers would give the task away
        self.robot = self._visible(ROBOT)
        self.gripper = self._visible(GRIPPER)
        self.things = [self._visible(body) for body in self.task.bodies]

    def close(self) -> None:
        self.renderer.close()

    def _visible(self, body: str) -> np.ndarray:
        """Numbers of the visible geometries of a body and of all bodies below it."""
        model, below = self.model, {self.model.body(body).id}
        for number in range(model.nbody):  # parents come first
            if model.body_parentid[number] in below:
                below.add(number)
        return np.array(
            [
                number
                for number in range(model.ngeom)
                if model.geom_bodyid[number] in below
                and model.geom_group[number] < _DRAWN
                and model.geom_rgba[number, 3] > 0
            ]
        )

    def dress(self, model, look: Look) -> None:
        """Places things as in the play's `model`, in the paint and light of `look`."""
        for field in _PLACED:
            getattr(self.model, field)[:] = getattr(model, field)
        self.model.geom_matid[:] = self.original.geom_matid
        self.model.geom_matid[self.things[0]] = -1
        self.model.geom_rgba[self.things[0]] = (*COLOURS[look.colour], 1)
        self._tint("table_wood", look.table)
        self._tint("basic_floor", look.floor)
        light = self.model.vis.headlight
        light.ambient[:], light.diffuse[:] = look.ambient, look.diffuse
        self.model.light_diffuse[:] = np.resize(look.lamps, self.model.light_diffuse.shape)

    def _tint(self, material: str, factors: Sequence[float]) -> None:
        rgba, number = self.original.mat(material).rgba, self.original.mat(material).id
        self.model.mat_rgba[number, :3] = np.clip(rgba[:3] * factors, 0, 1)

    def shoot(self, poses: np.ndarray, look: Look) -> np.ndarray:
        """poses (T, Q) -> uint8 (T, size, size, 3)."""
        import mujoco

        camera = mujoco.MjvCamera()
        camera.azimuth, camera.elevation, camera.distance = look.azimuth, look.elevation, look.distance
        camera.lookat[:] = look.target
        frames = np.empty((len(poses), self.size, self.size, 3), np.uint8)
        for frame, pose in zip(frames, poses):
            self._pose(pose)
            self._hide_unseen(look)
            self.renderer.update_scene(self.data, camera, self.options)
            self.renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0  # costs as much as everything else
            frame[:] = halved(self.renderer.render())
        return frames

    def _pose(self, pose: np.ndarray) -> None:
        import mujoco

        self.data.qpos[:] = pose
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _hide_unseen(self, look: Look) -> None:
        """Hides parts of the robot outside the picture: most of its triangles are in the shoulder, which is seldom visible."""
        places = project(look, self._corners(self.robot).reshape(-1, 8, 3))
        beyond = (places < 0).all(1) | (places > 1).all(1) | np.isnan(places).all(1)
        self.model.geom_rgba[self.robot, 3] = self.original.geom_rgba[self.robot, 3] * ~beyond.any(-1)

    def outlines(self, poses: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Corners of the boxes around each piece of geometry, (T, 8 * pieces, 3), in the world: (those of the gripper, those of each thing)."""
        outlines = []
        for pose in poses:
            self._pose(pose)
            outlines.append([self._corners(numbers) for numbers in (self.gripper, *self.things)])
        gripper, *things = (np.array(corners) for corners in zip(*outlines))
        return gripper, things

    def _corners(self, numbers: np.ndarray) -> np.ndarray:
        signs = np.stack(np.meshgrid(*[[-1, 1]] * 3, indexing="ij"), -1).reshape(8, 3)
        middle, half = np.split(self.model.geom_aabb[numbers], 2, -1)
        turned = self.data.geom_xmat[numbers].reshape(-1, 3, 3)
        local = middle[:, None] + signs * half[:, None]
        world = np.einsum("gij,gkj->gki", turned, local) + self.data.geom_xpos[numbers][:, None]
        return world.reshape(-1, 3)


def gap(hand: np.ndarray, outlines: Sequence[np.ndarray]) -> np.ndarray:
    """Metres (T,) from the fingers (T, 3) to the nearest of the boxes that `Film.outlines` gives for things."""
    return np.min([_distance(hand, corners) for corners in outlines], axis=0)


def _distance(hand: np.ndarray, corners: np.ndarray) -> np.ndarray:
    boxes = corners.reshape(len(corners), -1, 8, 3)
    middle = boxes.mean(2)
    # Corners 0, 4, 2 and 1 of a box: its origin and its neighbours along the three edges, see `Film._corners`.
    edges = np.stack([boxes[:, :, n] - boxes[:, :, 0] for n in (4, 2, 1)], 2)
    lengths = np.maximum(np.linalg.norm(edges, axis=-1), 1e-9)
    along = np.einsum("tgei,tgi->tge", edges / lengths[..., None], hand[:, None] - middle)
    outside = np.maximum(np.abs(along) - lengths / 2, 0)
    return np.linalg.norm(outside, axis=-1).min(1)
