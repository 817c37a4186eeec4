"""Films clips of the bodies. A scene is set up once for its clips; each frame is one pose."""

from collections.abc import Iterator, Sequence

import numpy as np

from ivcore.data import offscreen
from ivcore.data.annotations import Clip
from ivcore.data.bodies import look as looks
from ivcore.data.bodies import models, motions, pose
from ivcore.data.bodies.config import Bodies
from ivcore.data.bodies.look import Look
from ivcore.data.bodies.plan import body_of, scene_look


def require_simulator() -> None:
    """UserError that says what to install, unless the models and their renderer are installed."""
    offscreen.require("gymnasium", "Gymnasium")


def film(config: Bodies, todo: Sequence[Clip]) -> Iterator[np.ndarray]:
    """Yields uint8 (frames, size, size, 3) for each clip. UserError if the simulator is not installed."""
    require_simulator()
    stage = None
    for clip in todo:
        if stage is None or stage.scene != clip.scene:
            if stage is not None:
                stage.close()
            stage = _Stage(config, clip.scene)
        yield stage.shoot(clip)
    if stage is not None:
        stage.close()


class _Stage:
    """A body on the ground, with light and camera."""

    def __init__(self, config: Bodies, scene: str):
        import mujoco

        self.config, self.scene = config, scene
        self.body, self.look = body_of(int(scene)), scene_look(config, int(scene))
        xml = models.staged(models.folder() / self.body.file, self.body, around(self.look, config.size))
        self.model = mujoco.MjModel.from_xml_string(xml)
        self.data = mujoco.MjData(self.model)
        self.pieces = np.flatnonzero(self.model.geom_bodyid > 0)
        rng = np.random.default_rng((config.seed, int(scene), 1))
        self.model.geom_rgba[self.pieces, :3] = looks.paints(self.look, len(self.pieces), rng)
        self.hinges = [self.model.joint(name.lstrip("-")) for name in self.body.parts]
        self.ways = np.array([-1 if name.startswith("-") else 1 for name in self.body.parts])
        mujoco.mj_kinematics(self.model, self.data)
        low, high = self._reach()
        self.middle, self.size = (low + high) / 2, float((high - low).max())
        self.model.stat.extent = self.size
        self.model.mat_texrepeat[:] = self.look.squares / 2 / self.size
        self.renderer = mujoco.Renderer(self.model, 2 * config.size, 2 * config.size)

    def close(self) -> None:
        self.renderer.close()

    def _reach(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest coordinates (3,) of the body; exact for balls and capsules."""
        import mujoco

        kinds, sizes = self.model.geom_type[self.pieces], self.model.geom_size[self.pieces]
        ball = kinds == mujoco.mjtGeom.mjGEOM_SPHERE
        half = np.where(ball, 0, sizes[:, 1])[:, None] * np.abs(
            self.data.geom_xmat[self.pieces].reshape(-1, 3, 3)[:, :, 2]
        )
        places = self.data.geom_xpos[self.pieces]
        reach = half + sizes[:, :1]
        return (places - reach).min(0), (places + reach).max(0)

    def shoot(self, clip: Clip) -> np.ndarray:
        import mujoco

        seconds = np.arange(self.config.frames) / self.config.fps
        rng = np.random.default_rng((self.config.seed, int(self.scene), 2 + motions.CLASSES.index(clip.label)))
        course = motions.draw(clip.label, len(self.hinges), seconds, rng)
        camera = mujoco.MjvCamera()
        camera.azimuth, camera.elevation = self.look.azimuth, self.look.elevation
        camera.distance = self.look.distance * self.size
        camera.lookat[:] = np.array(self.look.target) * self.size
        frames = np.empty((len(seconds), self.config.size, self.config.size, 3), np.uint8)
        for number, frame in enumerate(frames):
            self._pose(course, number)
            self.renderer.update_scene(self.data, camera)
            frame[:] = offscreen.halved(self.renderer.render())
        return frames

    def _pose(self, course: motions.Course, frame: int) -> None:
        """Sets the joints, turns the body, and moves it until its lowest point is `course.lift` above the ground."""
        import mujoco

        for part, hinge in enumerate(self.hinges):
            span = tuple(hinge.range) if self.model.jnt_limited[hinge.id] else None
            swing = self.ways[part] * course.swing[:, part]
            self.data.qpos[hinge.qposadr[0]] = pose.angles(span, course.rest[part], swing)[frame]
        tilt = None if course.tilt is None else course.tilt[frame]
        turned = pose.attitude(self.body, tilt, course.turn[frame], self.look.azimuth)
        mujoco.mju_mat2Quat(self.data.mocap_quat[0], turned.ravel())
        self.data.mocap_pos[0] = -turned @ self.middle
        self.data.mocap_pos[0, :2] += self.size * pose.ground_place(course.place[frame], self.look.azimuth)
        mujoco.mj_kinematics(self.model, self.data)
        self.data.mocap_pos[0, 2] += self.size * course.lift[frame] - self._reach()[0][2]
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)


def around(look: Look, size: int) -> str:
    """The stage as XML: ground, sky and sun."""
    dots = f'mark="random" random="{look.dots:.3f}" markrgb="{_text(look.sky)}"' if look.dots else ""
    return f"""
    <visual>
      <quality shadowsize="0" offsamples="0"/>
      <global offwidth="{2 * size}" offheight="{2 * size}"/>
      <rgba haze="{_text(look.sky)} 1"/>
      <headlight ambient="{_text([look.ambient] * 3)}" diffuse="{_text([look.diffuse] * 3)}" specular="0 0 0"/>
    </visual>
    <asset>
      <texture type="skybox" builtin="gradient" rgb1="{_text(look.sky)}" rgb2="{_text(look.ground_2)}" width="64" height="64"/>
      <texture name="ground" type="2d" builtin="{look.pattern}" rgb1="{_text(look.ground)}" rgb2="{_text(look.ground_2)}"
       width="128" height="128" {dots}/>
      <material name="ground" texture="ground" texuniform="true" specular="0"/>
    </asset>
    <worldbody>
      <light directional="true" pos="0 0 10" dir="{_text([-v for v in look.sun])}" diffuse="{_text([look.sunlight] * 3)}"/>
      <geom name="ground" type="plane" size="0 0 1" material="ground"/>
    </worldbody>"""


def _text(values) -> str:
    return " ".join(f"{value:.4f}" for value in values)
