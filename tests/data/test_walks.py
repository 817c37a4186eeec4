"""Walks: scenes and ways are drawn without MiniWorld, and checked so; where it is installed, a clip is rendered."""

import importlib.util
from collections import Counter

import numpy as np
import pytest

from ivcore.data import walks
from ivcore.data.walks import scenes
from ivcore.data.walks.moves import MOVES, NEAR, Aim
from ivcore.errors import ParameterError, UserError

AIM = Aim(3.0, 0.5)


def way(label, seed=0):
    return MOVES[label](np.random.default_rng(seed), 16, AIM)


def test_clips_take_turns_and_no_scene_is_in_two_splits():
    config = walks.Walks(train=24, val=12, test=12)
    clips = walks.clips(config)
    assert [c.split for c in clips] == ["train"] * 24 + ["val"] * 12 + ["test"] * 12
    assert Counter(c.label for c in clips) == dict.fromkeys(walks.CLASSES, 4)
    assert len({c.name for c in clips}) == len({c.scene for c in clips}) == 48
    assert clips == walks.clips(config) and clips != walks.clips(walks.Walks(train=24, val=12, test=12, seed=1))
    assert clips[:12] == walks.clips(walks.Walks(train=12, val=0, test=0))


def test_captions_say_what_is_done_and_what_is_seen():
    by_label = {c.label: c.captions for c in walks.clips(walks.Walks(train=12, val=0, test=0))}
    assert "turns to the left" in by_label["turns left"][0] and "turns to the right" in by_label["turns right"][0]
    assert all("{}" not in text and "  " not in text for texts in by_label.values() for text in texts)


@pytest.mark.parametrize(
    "label, column, sign",
    [
        ("walks forward", 0, 1),
        ("walks backward", 0, -1),
        ("steps to the left", 1, 1),
        ("steps to the right", 1, -1),
        ("turns left", 2, 1),
        ("turns right", 2, -1),
        ("stands up", 3, 1),
        ("crouches", 3, -1),
        ("circles a thing to the left", 1, 1),
        ("circles a thing to the right", 1, -1),
    ],
)
def test_moves_go_where_their_name_says(label, column, sign):
    for seed in range(5):
        steps = np.diff(way(label, seed)[:, column]) * sign
        assert steps.sum() > 0.5 and steps.min() > -0.02


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_circle_keeps_its_distance_and_its_view_of_the_thing(side):
    forward, left, turn, _ = way(f"circles a thing to the {side}").T
    ahead, beside = AIM.ahead - forward, AIM.left - left
    assert np.hypot(ahead, beside) == pytest.approx(np.hypot(AIM.ahead, AIM.left))
    assert np.arctan2(beside, ahead) - turn == pytest.approx(np.arctan2(AIM.left, AIM.ahead))


def test_stopping_ends_near_the_thing_and_looking_around_where_it_began():
    forward, left, _, _ = way("stops before a thing").T
    assert np.hypot(AIM.ahead - forward[-1], AIM.left - left[-1]) == pytest.approx(NEAR)
    assert np.ptp(forward[-4:]) == 0
    turn = way("looks around")[:, 2]
    assert turn[0] == 0 and turn[-1] == pytest.approx(0) and turn.min() < -0.4 and turn.max() > 0.4


@pytest.mark.parametrize("label", walks.CLASSES)
def test_the_way_meets_no_wall_and_no_thing_and_the_first_thing_is_in_sight(label):
    for seed in range(25):
        scene = scenes.draw(label, np.random.default_rng(seed), 16)
        x, z, room = scene.poses[:, 0], scene.poses[:, 1], scene.room
        assert min(x.min() - room.x0, room.x1 - x.max(), z.min() - room.z0, room.z1 - z.max()) > 0.5
        for thing in scene.things:
            assert np.hypot(x - thing.x, z - thing.z).min() > thing.radius
            assert room.x0 < thing.x < room.x1 and room.z0 < thing.z < room.z1
        assert scenes.in_sight(scene, scene.things[0])


def test_a_bad_size_is_refused():
    with pytest.raises(ParameterError, match="size=81: must be a whole number from 16, even"):
        walks.Walks(size=81)


def test_without_the_simulator_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    config = walks.Walks(train=1, val=0, test=0)
    with pytest.raises(UserError, match="MiniWorld is not installed: `make sim`"):
        next(walks.film(config, walks.clips(config)))


@pytest.mark.skipif(importlib.util.find_spec("miniworld") is None, reason="MiniWorld is not installed (extra `sim`)")
def test_a_clip_depends_on_nothing_rendered_before():
    config = walks.Walks(train=3, val=0, test=0, size=32, frames=4)
    clips = walks.clips(config)
    first, second, third = walks.film(config, clips)
    assert first.shape == (4, 32, 32, 3) and first.dtype == np.uint8
    assert first.std() > 5 and np.abs(np.diff(first.astype(int), axis=0)).mean() > 0.1
    again = list(walks.film(config, [clips[2], clips[0]]))
    assert np.array_equal(again[0], third) and np.array_equal(again[1], first)
    assert not np.array_equal(first, second)
