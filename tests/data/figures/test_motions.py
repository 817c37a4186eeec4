"""Cuts of recordings are checked on one made here, and points of the body against pybullet's own arithmetic where it is installed."""

import importlib.util

import numpy as np
import pytest

from ivcore.data.figures import motions
from ivcore.data.figures.motions import MOTIONS, POINTS, Motion, cut
from ivcore.errors import UserError

SWING = Motion("swing")
PART = Motion("swing", within=(0.1, 0.4))
needs_pybullet = pytest.mark.skipif(
    importlib.util.find_spec("pybullet") is None, reason="pybullet is not installed: `make sim`"
)


def at(body, name):
    return body[:, POINTS.index(name)]


class TestPoints:
    def test_a_body_that_stands_straight(self, recording):
        body = recording[1][:1]
        assert at(body, "crown")[0, 1] > at(body, "neck")[0, 1] > at(body, "hip")[0, 1] > at(body, "right_knee")[0, 1]
        assert at(body, "right_shoulder")[0, 2] == pytest.approx(-at(body, "left_shoulder")[0, 2]) and (
            at(body, "right_shoulder")[0, 2] > 0
        )

    def test_a_bent_knee_brings_the_foot_back_and_up(self):
        lines = np.zeros((2, 43))
        lines[:, 3] = 1
        column = 7
        for name, (_, _, width) in list(motions._JOINTS.items())[1:]:
            lines[:, column] = 1 if width == 4 else -np.pi / 2 * (name == "right_knee") * np.arange(2)
            column += width
        ankle = at(motions.points(lines), "right_ankle")
        assert np.allclose(ankle[1] - ankle[0], (-0.4099, 0.4099, 0))


class TestCut:
    def test_repeats_without_a_jump_and_goes_on(self, recording):
        moments = np.linspace(0, 2, 401)
        body = cut(SWING, 0.3, 1.0, moments)
        assert np.abs(np.diff(body, axis=0)).max() < 0.05
        assert np.allclose(body[100:] - body[:-100], (1, 0, 0))

    def test_stands_still_outside_its_part(self, recording):
        body = cut(PART, 0.5, 1.0, np.linspace(0, 1, 101))
        assert np.array_equal(body[0], body[30]) and np.array_equal(body[-1], body[-30])
        assert not np.array_equal(body[0], body[-1])
        assert at(body, "hip")[[0, -1], 0] == pytest.approx([0.2, 0.8])

    def test_a_short_cut_lies_within_the_part(self, recording):
        for start in (0.0, 0.5, 1.0):
            hip = at(cut(PART, start, 1.0, np.linspace(0, 0.1, 11)), "hip")[:, 0]
            assert hip[0] == pytest.approx(0.2 + 0.4 * start) and hip[-1] == pytest.approx(0.4 + 0.4 * start)

    def test_backwards_is_the_same_turned_round(self, recording):
        moments = np.linspace(0, 1, 9)
        for motion in (SWING, PART):
            turned = Motion(motion.file, motion.within, backwards=True)
            assert np.allclose(cut(turned, 0.2, 1.1, moments), cut(motion, 0.2, 1.1, moments)[::-1])

    def test_twice_as_fast_shows_twice_as_much(self, recording):
        moments = np.linspace(0, 1, 9)
        assert np.allclose(cut(SWING, 0.2, 2.0, moments), cut(SWING, 0.2, 1.0, 2 * moments))


def test_without_pybullet_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    motions.read.cache_clear()
    with pytest.raises(UserError, match="make sim"):
        motions.read("walk")


@needs_pybullet
class TestRecordings:
    def test_all_are_there_and_whole(self):
        for motion in (motion for several in MOTIONS.values() for motion in several):
            seconds, body = motions.read(motion.file)
            assert np.all(np.diff(seconds) > 0) and np.isfinite(body).all()
            assert not motion.within or 0 <= motion.within[0] < motion.within[1] <= seconds[-1] + 0.01

    def test_motions_that_travel_move_by_their_speed(self):
        for motion in (motion for several in MOTIONS.values() for motion in several if motion.travels):
            hip = at(cut(motion, 0.0, 1.0, np.array([0.0, 4.0])), "hip")
            assert (hip[1, 0] - hip[0, 0]) / 4 == pytest.approx(motion.travels, rel=0.3)

    def test_joints_are_where_pybullet_has_them(self):
        import pybullet
        import pybullet_data

        world = pybullet.connect(pybullet.DIRECT)
        pybullet.setAdditionalSearchPath(pybullet_data.getDataPath(), physicsClientId=world)
        body = pybullet.loadURDF(
            "humanoid/humanoid.urdf", globalScaling=0.25, flags=pybullet.URDF_MAINTAIN_LINK_ORDER, physicsClientId=world
        )
        lines = np.random.default_rng(0).normal(size=(1, 43))
        column = 7
        for joint in range(pybullet.getNumJoints(body, physicsClientId=world)):
            info = pybullet.getJointInfo(body, joint, physicsClientId=world)
            name, kind = info[1].decode(), info[2]
            if kind == pybullet.JOINT_SPHERICAL:
                w, x, y, z = lines[0, column : column + 4] / np.linalg.norm(lines[0, column : column + 4])
                pybullet.resetJointStateMultiDof(body, joint, (x, y, z, w), physicsClientId=world)
                column += 4
            elif kind == pybullet.JOINT_REVOLUTE:
                pybullet.resetJointState(body, joint, lines[0, column], physicsClientId=world)
                column += 1
        w, x, y, z = lines[0, 3:7] / np.linalg.norm(lines[0, 3:7])
        pybullet.resetBasePositionAndOrientation(body, lines[0, :3], (x, y, z, w), physicsClientId=world)
        ours = motions.points(lines)
        for joint in range(pybullet.getNumJoints(body, physicsClientId=world)):
            name = pybullet.getJointInfo(body, joint, physicsClientId=world)[1].decode()
            if name in POINTS:
                state = pybullet.getLinkState(body, joint, computeForwardKinematics=True, physicsClientId=world)
                assert np.allclose(at(ours, name)[0], state[4], atol=1e-3), name
        pybullet.disconnect(world)
