"""Crops, flips and resizes a clip together with its boxes; jitters and extends boxes alone.

Clips are uint8 (T, H, W, 3); boxes float (n, 4), x1, y1, x2, y2 as shares of the picture's width and height. Every random function takes a
numpy Generator and draws only from it.
"""

import numpy as np

from ivcore.video import augment
from ivcore.video.resize import resize

JITTER = ((0.2, 0.1), (0.1, 0.05))  # published: farthest moves of a side (outward, inward), along x and along y
EXTENSION = (
    0.05,
    0.025,
)  # published: outward move of each side of a test box, along x and along y; half of the code's TEST_EXT


def crop(video: np.ndarray, boxes: np.ndarray, rng, smallest: float = 0.66, visible: float = 0.5):
    """A random crop of `smallest` to 1 of both sides; keeps the boxes with at least the share `visible` of their area inside.

    Returns (clip, boxes (m, 4) clipped to it, their indices (m,) among the n boxes). If no box would be left, nothing is cropped.
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
    """Mirrors left and right with probability p; returns (clip, boxes)."""
    if rng.random() >= p:
        return video, boxes
    return augment.flip(video, rng, 1.0), np.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], 1)


def fit(video: np.ndarray, boxes: np.ndarray, height: int, width: int):
    """Fits the whole picture into (height, width), at the top left, with black below or to the right; returns (clip, boxes).

    Keeps the aspect ratio, up to half a pixel.
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
    """Moves each side independently, outward or inward, by up to the shares `reach` of the box's width or height; clips to the picture."""
    boxes = boxes.copy()
    for axis, (outward, inward) in enumerate(reach):
        low, high = boxes[:, axis].copy(), boxes[:, axis + 2].copy()
        boxes[:, axis] = low + (high - low) * rng.uniform(-outward, inward, len(boxes))
        boxes[:, axis + 2] = high + (high - low) * rng.uniform(-inward, outward, len(boxes))
    return boxes.clip(0, 1)


def extend(boxes: np.ndarray, by=EXTENSION) -> np.ndarray:
    """Moves each side outward by the shares `by` of the box's width and height; clips to the picture."""
    out = (boxes[:, 2:] - boxes[:, :2]) * np.array(by)
    return np.concatenate([boxes[:, :2] - out, boxes[:, 2:] + out], 1).clip(0, 1)
