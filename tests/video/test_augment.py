"""Augmentation: geometry, consistency over time, dependence on nothing but the generator given, and agreement with timm."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.errors import ParameterError
from ivcore.video import augment

SIDES, SEEDS = st.integers(1, 80), st.integers(0, 2**32)
quick = settings(max_examples=60)


def _video(frames=4, height=40, width=56, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def _still(frames=4, height=40, width=56):
    """The same picture in every frame: any difference between frames afterwards was made by the augmentation."""
    smooth = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    return np.repeat(smooth[None], frames, 0)


def _rng(seed=0):
    return np.random.default_rng(seed)


@quick
@given(SIDES, SIDES, st.integers(1, 64), SEEDS)
def test_multi_scale_boxes_lie_inside(height, width, size, seed):
    for top, left, h, w in augment.multi_scale_boxes(height, width, size, _rng(seed), count=8):
        assert top >= 0 and left >= 0 and h >= 1 and w >= 1
        assert top + h <= height and left + w <= width


def test_multi_scale_boxes_have_neighbouring_scales_and_fixed_places():
    boxes = augment.multi_scale_boxes(256, 340, 224, _rng(), count=4000)
    sides = {256: 0, 224: 1, 192: 2, 168: 3}
    assert {(h, w) for _, _, h, w in boxes} == {(h, w) for h in sides for w in sides if abs(sides[h] - sides[w]) <= 1}
    places = {(top, left) for top, left, h, w in boxes if (h, w) == (224, 224)}
    assert len(places) == 13
    assert {(0, 0), (0, 116), (32, 0), (32, 116), (16, 58), (8, 29), (24, 87)} <= places


@quick
@given(SIDES, SIDES, SEEDS)
def test_random_resized_boxes_lie_inside(height, width, seed):
    top, left, h, w = augment.random_resized_box(height, width, _rng(seed))
    assert top >= 0 and left >= 0 and h >= 1 and w >= 1
    assert top + h <= height and left + w <= width


def test_random_resized_boxes_have_the_asked_area_and_aspect():
    rng = _rng()
    boxes = np.array([augment.random_resized_box(280, 280, rng) for _ in range(3000)])
    share, aspect = boxes[:, 2] * boxes[:, 3] / 280**2, boxes[:, 3] / boxes[:, 2]
    assert 0.07 < share.min() < 0.1 and 0.85 < share.max() <= 1
    assert 0.73 < aspect.min() < 0.8 and 1.25 < aspect.max() < 1.36
    assert abs(np.median(np.log(aspect))) < 0.03


def test_a_strip_gets_the_largest_central_box():
    assert augment.random_resized_box(10, 100, _rng(), scale=(0.9, 1.0)) == (0, 43, 10, 13)


def test_crops_take_what_the_box_says():
    video = _video()
    assert np.array_equal(augment.crop_resize(video, (3, 7, 20, 20), 20), video[:, 3:23, 7:27])
    assert augment.multi_scale_crop(video, 24, _rng()).shape == (4, 24, 24, 3)
    assert augment.random_resized_crop(video, 24, _rng()).shape == (4, 24, 24, 3)


def test_resizing_is_that_of_pil():
    from PIL import Image

    video = _video(frames=1)
    pil = Image.fromarray(video[0]).resize((24, 24), Image.BILINEAR)
    assert np.abs(augment.crop_resize(video, (0, 0, 40, 56), 24)[0].astype(int) - np.asarray(pil)).max() <= 1


def test_three_crops_and_the_centre():
    wide, tall = _video(height=20, width=51), _video(height=51, width=20)
    for video, axis in ((wide, 2), (tall, 1)):
        crops = augment.spatial_crops(video, 20)
        assert crops.shape == (3, 4, 20, 20, 3)
        for crop, start in zip(crops, (0, 15, 31)):
            assert np.array_equal(crop, video.take(range(start, start + 20), axis))
        assert np.array_equal(augment.centre_crop(video, 20), crops[1])
    assert augment.short_side(wide, 10).shape == (4, 10, 26, 3)  # 25.5 rounds up
    with pytest.raises(ParameterError, match="num_crops"):
        augment.spatial_crops(wide, 20, 0)


def test_flip():
    video = _video()
    assert np.array_equal(augment.flip(video, _rng(), p=1), video[:, :, ::-1])
    assert augment.flip(video, _rng(), p=0) is video
    frozen = video.copy()
    frozen.flags.writeable = False
    assert np.array_equal(augment.flip(frozen, _rng(), p=1), video[:, :, ::-1])


def test_rand_augment_is_timm_with_one_draw_for_all_frames():
    from PIL import Image

    video, changed = _still(), 0
    for seed in range(12):
        out = augment.rand_augment(video, _rng(seed))
        assert (out == out[0]).all()
        changed += not np.array_equal(out, video)
        draw = int(_rng(seed).integers(1 << 32))
        state = random.getstate(), np.random.get_state()
        random.seed(draw), np.random.seed(draw)
        expected = augment._rand_augment("rand-m7-n4-mstd0.5-inc1")(Image.fromarray(video[0]))
        random.setstate(state[0]), np.random.set_state(state[1])
        assert np.array_equal(out[0], expected)
    assert changed >= 9  # each of four operations is applied with probability 1/2
    with pytest.raises(ParameterError, match="rand-m7"):
        augment.rand_augment(video, _rng(), "rand-q7")


def test_erasing_is_one_cube_of_noise():
    video = _still(frames=8)
    out = augment.erase(video, _rng(1), p=1)
    hit = (out != video).any(-1)
    rows, columns = np.flatnonzero(hit.any((0, 2))), np.flatnonzero(hit.any((0, 1)))
    inside = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert hit[inside].mean() > 0.98 and hit.sum() == hit[inside].sum()
    share = hit[inside][0].size / hit[0].size
    assert 0.01 < share < 0.35
    noise = out[inside] / 255
    assert np.allclose(noise.mean((0, 1, 2)), augment.IMAGENET_MEAN, atol=0.05)
    assert np.allclose(noise.std((0, 1, 2)), augment.IMAGENET_STD, atol=0.05)
    assert not (noise[0] == noise[1]).all()
    assert augment.erase(video, _rng(), p=0) is video
    applied = sum(augment.erase(video, _rng(seed)) is not video for seed in range(400))
    assert 70 < applied < 130


def test_nothing_is_erased_where_no_box_fits():
    wide = _still(frames=2, height=10, width=100)
    too_tall = {"area": (0.9, 1.0), "ratio": (3 / 4, 4 / 3)}  # at least 26 pixels
    assert all(augment.erase(wide, _rng(seed), p=1, **too_tall) is wide for seed in range(20))


def test_repeated_sampling_gives_different_views_of_one_decode():
    video = _video(height=64, width=80)
    views = augment.repeat(video, 3, lambda v, rng: augment.multi_scale_crop(v, 32, rng), _rng(2))
    assert views.shape == (3, 4, 32, 32, 3)
    assert not np.array_equal(views[0], views[1])

    def greedy(clip, rng):
        view = augment.multi_scale_crop(clip, 32, rng)
        rng.random(99)
        return view

    assert np.array_equal(views, augment.repeat(video, 3, greedy, _rng(2)))


RANDOM = {
    "multi_scale_crop": lambda v, rng: augment.multi_scale_crop(v, 16, rng),
    "random_resized_crop": lambda v, rng: augment.random_resized_crop(v, 16, rng),
    "flip": augment.flip,
    "rand_augment": augment.rand_augment,
    "erase": augment.erase,
    "repeat": lambda v, rng: augment.repeat(v, 2, augment.flip, rng),
}


@pytest.mark.parametrize("name", RANDOM)
def test_only_the_given_generator_counts_and_globals_stay(name):
    """What makes a resumed run bit for bit: same generator, same result; the global generators are as before."""
    function, video = RANDOM[name], _video()
    results = []
    for globally in (1, 2):
        random.seed(globally), np.random.seed(globally), torch.manual_seed(globally)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        results.append([function(video, _rng(seed)) for seed in range(5)])
        assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert all(np.array_equal(a, b) for a, b in zip(*results))
    assert any(not np.array_equal(results[0][0], other) for other in results[0][1:])
    assert np.array_equal(video, _video()), "the decoded frames are shared by several views and must not change"
