"""Computes where the camera of a clip is and where it looks, in every frame."""

import math
from dataclasses import dataclass

import numpy as np

from ivcore.data.figures.plan import View

_UP = np.array([0.0, 1.0, 0.0])
_MARGIN = 0.92  # of half the picture; it holds all points of the body


@dataclass(frozen=True)
class Camera:
    """position (F, 3). axes (F, 3, 3): rows right, up, forward. reach: tangent of half the field of view. still: True if all frames are equal."""

    position: np.ndarray
    axes: np.ndarray
    reach: float
    still: bool

    def sees(self, points: np.ndarray) -> np.ndarray:
        """Converts world points (F, N, 3) to camera coordinates (F, N, 3): right, up, forward."""
        return (points - self.position[:, None]) @ self.axes.transpose(0, 2, 1)


def place(view: View, body: np.ndarray, seconds: np.ndarray) -> Camera:
    """The camera for a body (F, P, 3) at these seconds (F,). It moves back until the body stays in the picture."""
    reach, far = math.tan(view.field / 2), 3.0
    for _ in range(4):
        camera = _at(view, body, seconds, reach, far)
        seen = camera.sees(body)
        if far == 3.0:  # the first round measures: the camera goes where the body fills its part
            size = np.median(np.ptp(seen[..., :2], axis=1).max(axis=1)) + 0.2
            far = max(size, 1.0) / (2 * reach * view.fill)
        else:
            outside = np.abs(seen[..., :2] / np.maximum(seen[..., 2:], 0.3)).max() / (reach * _MARGIN)
            if outside <= 1 and seen[..., 2].min() > 0.5:
                break
            far *= max(outside, 1.1)
    return camera


def _at(view: View, body: np.ndarray, seconds: np.ndarray, reach: float, far: float) -> Camera:
    middle = (body.min(axis=(0, 1)) + body.max(axis=(0, 1))) / 2
    path = _smooth((body.min(axis=1) + body.max(axis=1)) / 2, seconds)
    time = (seconds - seconds.mean())[:, None] * view.pace
    side, nearer = np.full((len(seconds), 1), view.side), np.ones((len(seconds), 1))
    target = np.broadcast_to(middle, path.shape) if view.camera == "still" else path
    stands = path if view.camera in ("along", "round", "nearer") else np.broadcast_to(middle, path.shape)
    if view.camera == "round":
        side = side + time * 0.5
    if view.camera == "nearer":
        nearer = np.exp(-0.25 * abs(view.pace) * (seconds - seconds[0]))[:, None]
    out = np.cos(view.height) * np.concatenate([np.cos(side), np.zeros_like(side), np.sin(side)], axis=1)
    position = stands + far * nearer * (out + np.sin(view.height) * _UP)
    position[:, 1] = np.maximum(position[:, 1], 0.25)
    forward = target - position
    right = np.cross(forward, _UP)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    beside = view.shift[0] + (0.35 * time if view.camera == "turning" else 0)
    above = np.cross(right, forward / np.linalg.norm(forward, axis=1, keepdims=True))
    forward = forward - far * reach * (beside * right + view.shift[1] * above)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, _UP)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    axes = np.stack([right, np.cross(right, forward), forward], axis=1)
    return Camera(position, axes, reach, view.camera == "still")


def _smooth(path: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Smooths a path (F, 3): a running mean over about half a second; the ends go straight on."""
    weights = np.exp(-0.5 * ((seconds[:, None] - seconds) / 0.3) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    line = np.stack([np.polyval(np.polyfit(seconds, column, 1), seconds) for column in path.T], axis=1)
    return line + weights @ (path - line)
