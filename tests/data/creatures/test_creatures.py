"""Creatures: what a clip shows follows from the config and its name alone, splits share nothing, and movement is seen."""

import numpy as np
import pytest

from ivcore.data import creatures
from ivcore.data.creatures import actions, bodies
from ivcore.data.creatures.config import _scene
from ivcore.errors import ParameterError

CONFIG = creatures.Creatures(train=90, val=30, test=30, size=48, frames=8)


@pytest.fixture(scope="module")
def filmed():
    chosen = creatures.clips(CONFIG)[:60]
    return list(zip(chosen, creatures.film(CONFIG, chosen)))


def test_a_clip_follows_from_config_and_name(filmed):
    clip, frames = filmed[17]
    (again,) = creatures.film(CONFIG, [clip])
    assert frames.shape == (8, 48, 48, 3)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, again)


def test_a_larger_set_begins_with_the_smaller():
    larger = creatures.clips(creatures.Creatures(train=200, val=30, test=30, size=48, frames=8))
    assert larger[:90] == creatures.clips(CONFIG)[:90]


def test_another_seed_shows_something_else(filmed):
    other = creatures.Creatures(train=4, val=0, test=0, size=48, frames=8, seed=1)
    films = list(creatures.film(other, creatures.clips(other)))
    assert not any(np.array_equal(a, b) for a, (_, b) in zip(films, filmed))


def test_names_are_unique_and_splits_share_no_scene():
    every = creatures.clips(CONFIG)
    assert len({clip.name for clip in every}) == len(every) == 150
    places = [{clip.scene for clip in every if clip.split == split} for split in ("train", "val", "test")]
    assert not (places[0] & places[1] or places[0] & places[2] or places[1] & places[2])


def test_every_class_is_in_every_split():
    every = creatures.clips(CONFIG)
    for split in ("train", "val", "test"):
        assert {clip.label for clip in every if clip.split == split} == set(creatures.CLASSES)


def test_a_pair_is_one_film_forwards_and_backwards(filmed):
    partner = dict(creatures.ORDER_PAIRS)
    pairs = [(a, b) for (a, b) in zip(filmed[::2], filmed[1::2]) if a[0].label in partner]
    assert {a[0].label for a, _ in pairs} == set(partner)
    for (clip, frames), (other, backwards) in pairs:
        assert partner[clip.label] == other.label
        assert clip.scene == other.scene
        assert np.array_equal(frames, backwards[::-1])


def test_every_body_does_something_and_every_action_finds_bodies():
    for doing in actions.ACTIONS.values():
        able = [name for name, plan in bodies.BODIES.items() if doing.can(plan(np.random.default_rng(0)))]
        assert len(able) >= 5, doing.name
    seen = {_scene(0, "train", place).plan for place in range(300)}
    assert seen == set(bodies.BODIES)


@pytest.mark.parametrize("name", bodies.BODIES)
def test_bones_come_after_their_parents_and_keep_their_lengths(name):
    body = bodies.BODIES[name](np.random.default_rng(3))
    assert all(bone.parent < k for k, bone in enumerate(body.bones))
    joint = np.random.default_rng(4).normal(0, 1, (5, len(body.bones)))
    points = body.points(joint, np.ones_like(joint))
    lengths = np.linalg.norm(points[:, :, 1] - points[:, :, 0], axis=-1)
    assert np.allclose(lengths, [bone.length for bone in body.bones])


@pytest.mark.parametrize(
    "action", [a.name for a in actions.ACTIONS.values() if a.name != "stand still" and not a.backwards]
)
def test_an_action_moves_a_body_far_more_than_standing(action):
    """In every second frame, and in units of the body."""
    for name, plan in bodies.BODIES.items():
        moved, still = [], []
        for seed in range(6):
            body = plan(np.random.default_rng(seed))
            if actions.ACTIONS[action].can(body):
                moved.append(_reach(body, action, seed))
                still.append(_reach(body, "stand still", seed))
        assert not moved or np.median(moved) > max(0.1, 1.3 * np.median(still)), name


def _reach(body, action, seed):
    pose = actions.perform(np.random.default_rng((seed, 1)), body, action, 16)
    return np.ptp(pose.points(body)[::2] * pose.zoom[::2, None, None, None], axis=0).max()


def test_movement_is_seen(filmed):
    """Between two frames somewhere more changes than noise and light do."""
    for clip, frames in filmed:
        if clip.label in ("stand still", "shiver"):
            continue
        change = np.abs(frames[1:].astype(int) - frames[:-1]).max(-1)
        assert np.quantile(change.max(0), 0.99) > 12, clip.name


def test_captions_are_sentences_about_body_and_action(filmed):
    for clip, _ in filmed:
        assert 2 <= len(set(clip.captions)) <= 5
        assert all("  " not in caption and caption == caption.strip() for caption in clip.captions)


def test_wrong_numbers_are_refused():
    with pytest.raises(ParameterError, match="size=81"):
        creatures.Creatures(size=81)
    with pytest.raises(ParameterError, match="frames=1"):
        creatures.Creatures(frames=1)
