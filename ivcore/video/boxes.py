"""Boxes that move with the picture: what crops, flips and other sizes do to a clip and to the boxes on it; and boxes that move alone.

Clips are uint8 (T, H, W, 3); boxes float (n, 4), x1, y1, x2, y2 in shares of the picture's width and height. Every random function takes a
numpy Generator and draws from nothing else.
"""

import numpy as np

from ivcore.video import augment
from ivcore.video.resize import resize

JITTER = ((0.2, 0.1), (0.1, 0.05))  # published: how far a side may move out and in, along x and along y
EXTENSION = (
    0.05,
    0.025,
)  # published: how far every side of a test box moves out, half of its TEST_EXT along x and along y


def crop(video: np.ndarray, boxes: np.ndarray, rng, smallest: float = 0.66, visible: float = 0.5):
    """A random part of the picture, `smallest` to 1 of both sides, with the boxes of which a share of at least `visible` is in it.

    -> clip, boxes (m, 4) cut at its edge, and which of the n boxes these are (m,). Where no box would be left, everything stays as it is.
    """
    height, width = video.shape[1:3]
    share = rng.uniform(smallest, 1)
    h, w = (max(1, round(side * share)) for side in (height, width))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    origin, extent = np.array([left / width, top / height] * 2), np.array([w / width, h / height] * 2)
    moved = ((boxes - origin) / extent).clip(0, 1)
    remaining = (moved[:, 2:] - moved[:, :2]).prod(1) * extent[:2].prod()
    kept = np.flatnonzero((remaining > 0) & (remaining >= visible * (boxes[:, 2:] - boxes[:, :2]).prod(1)))
    if not len(kept):
        return video, boxes, np.arange(len(boxes))
    return video[:, top : top + h, left : left + w], moved[kept], kept


def flip(video: np.ndarray, boxes: np.ndarray, rng, p: float = 0.5):
    """Mirrored left and right with probability p -> clip, boxes."""
    if rng.random() >= p:
        return video, boxes
    return augment.flip(video, rng, 1.0), np.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], 1)


def fit(video: np.ndarray, boxes: np.ndarray, height: int, width: int):
    """The whole picture as large as it goes into (height, width), at the top left, black below or beside it -> clip, boxes.

    Its aspect ratio stays, up to half a pixel.
    """
    scale = min(height / video.shape[1], width / video.shape[2])
    h, w = (max(1, min(most, round(side * scale))) for most, side in zip((height, width), video.shape[1:3]))
    small = resize(np.ascontiguousarray(video), h, w)
    if (h, w) == (height, width):
        return small, boxes
    canvas = np.zeros((len(video), height, width, 3), np.uint8)
    canvas[:, :h, :w] = small
    return canvas, boxes * np.array([w / width, h / height] * 2)


def jitter(boxes: np.ndarray, rng, reach=JITTER) -> np.ndarray:
    """Every side moves by itself, out or in by up to the shares `reach` of the box's width or height; cut at the picture's edge."""
    boxes = boxes.copy()
    for axis, (outward, inward) in enumerate(reach):
        low, high = boxes[:, axis].copy(), boxes[:, axis + 2].copy()
        boxes[:, axis] = low + (high - low) * rng.uniform(-outward, inward, len(boxes))
        boxes[:, axis + 2] = high + (high - low) * rng.uniform(-inward, outward, len(boxes))
    return boxes.clip(0, 1)


def extend(boxes: np.ndarray, by=EXTENSION) -> np.ndarray:
    """Every side moves out by the shares `by` of the box's width and height; cut at the picture's edge."""
    out = (boxes[:, 2:] - boxes[:, :2]) * np.array(by)
    return np.concatenate([boxes[:, :2] - out, boxes[:, 2:] + out], 1).clip(0, 1)
