"""Boxes stay on what they are around, whatever a crop, a flip or another size does to the picture."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.video import boxes as moving
from ivcore.video.sampling import around

quick = settings(max_examples=60)
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
sides = st.tuples(st.integers(24, 60), st.integers(24, 60))
SHARES = st.tuples(*[st.floats(0.0, 0.6)] * 2, *[st.floats(0.2, 0.4)] * 2)


def picture(height, width, shares):
    """One frame, white where the box is, and the box (1, 4), on whole pixels."""
    x, y, w, h = shares
    left, top = round(x * width), round(y * height)
    right, bottom = left + max(5, round(w * width)), top + max(5, round(h * height))
    right, bottom = min(right, width), min(bottom, height)
    frame = np.zeros((1, height, width, 3), np.uint8)
    frame[:, top:bottom, left:right] = 255
    return frame, np.array([[left / width, top / height, right / width, bottom / height]])


def white(frame):
    """x1, y1, x2, y2 in pixels of what is brighter than the middle."""
    rows, columns = np.nonzero(frame[0, :, :, 0] > 127)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def is_on(video, boxes, slack):
    height, width = video.shape[1:3]
    return np.abs(boxes[0] * [width, height, width, height] - white(video)).max() <= slack


@quick
@given(sides, SHARES, seeds, sides)
def test_a_box_stays_on_what_it_is_around(size, shares, rng, canvas):
    video, boxes = picture(*size, shares)
    assert is_on(video, boxes, 1e-9)
    video, boxes, kept = moving.crop(video, boxes, rng, 0.5)
    assert kept.tolist() == [0] and is_on(video, boxes, 1e-9)
    video, boxes = moving.flip(video, boxes, rng, 0.5)
    assert is_on(video, boxes, 1e-9)
    enlarged = max(canvas[0] / video.shape[1], canvas[1] / video.shape[2])
    video, boxes = moving.fit(video, boxes, *canvas)
    assert video.shape[1:3] == canvas and is_on(video, boxes, 1 + enlarged)


def test_a_box_that_a_crop_leaves_out_is_gone():
    rng, seen = np.random.default_rng(0), set()
    video = np.zeros((1, 40, 40, 3), np.uint8)
    corners = np.array([[0, 0, 0.2, 0.2], [0.8, 0.8, 1, 1]])
    for _ in range(60):
        _, boxes, kept = moving.crop(video, corners, rng, 0.5)
        seen.add(tuple(kept.tolist()))
        assert boxes.min() >= 0 and boxes.max() <= 1 and (boxes[:, 2:] > boxes[:, :2]).all()
    assert seen == {(0,), (1,), (0, 1)}


def test_a_flip_mirrors_both():
    video, boxes = picture(30, 40, (0.0, 0.1, 0.3, 0.3))
    turned, mirrored = moving.flip(video, boxes, np.random.default_rng(0), 1.0)
    assert (turned == video[:, :, ::-1]).all() and not np.allclose(mirrored, boxes) and is_on(turned, mirrored, 1e-9)


def test_a_picture_fits_without_changing_its_shape():
    video = np.full((2, 90, 160, 3), 200, np.uint8)
    fitted, boxes = moving.fit(video, np.array([[0.0, 0, 1, 1]]), 64, 64)
    assert fitted.shape == (2, 64, 64, 3) and boxes.tolist() == [[0, 0, 1, 36 / 64]]
    assert (fitted[:, :36] == 200).all() and not fitted[:, 36:].any()


@quick
@given(SHARES, seeds)
def test_jitter_moves_each_side_no_further_than_published(shares, rng):
    _, boxes = picture(50, 50, shares)
    width, height = boxes[0, 2] - boxes[0, 0], boxes[0, 3] - boxes[0, 1]
    (x1, y1, x2, y2), (a1, b1, a2, b2) = boxes[0], moving.jitter(boxes, rng)[0]
    slack = 1e-9
    assert -0.2 * width - slack <= a1 - x1 <= 0.1 * width + slack
    assert -0.1 * width - slack <= a2 - x2 <= 0.2 * width + slack
    assert -0.1 * height - slack <= b1 - y1 <= 0.05 * height + slack
    assert -0.05 * height - slack <= b2 - y2 <= 0.1 * height + slack
    assert min(a1, b1) >= 0 and max(a2, b2) <= 1


def test_test_boxes_are_extended_up_to_the_edge():
    wider = moving.extend(np.array([[0.4, 0.4, 0.6, 0.6], [0.0, 0.0, 1.0, 1.0]]))
    np.testing.assert_allclose(wider, [[0.39, 0.395, 0.61, 0.605], [0, 0, 1, 1]])


def test_a_clip_about_a_keyframe_repeats_the_ends():
    assert around(100, 50, 4, 3).tolist() == [44, 47, 50, 53]
    assert around(100, 0, 4, 3).tolist() == [0, 0, 0, 3]
    assert around(100, 99, 4, 3).tolist() == [93, 96, 99, 99]
    assert around(1, 0, 2, 4).tolist() == [0, 0]
