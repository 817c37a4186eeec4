"""Paints tapered capsules into the frames of a clip, antialiased over one pixel; changes only the box that a capsule fills."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Layer:
    """A transparent picture for every frame: colour (T, S, S, 3), cover (T, S, S) and hollow (T, S, S), all float32 in [0, 1]."""

    colour: np.ndarray
    cover: np.ndarray
    hollow: np.ndarray

    @classmethod
    def empty(cls, frames: int, size: int) -> "Layer":
        shape = (frames, size, size)
        return cls(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def _window(points: np.ndarray, reach: float, size: int) -> tuple[np.ndarray, int]:
    """(first pixel in every frame (T,), width in pixels) of a window around `points` (T, 2) of one axis, shifted into the frame."""
    low = np.floor(points.min(1) - reach).astype(np.int32)
    width = int(min(np.ceil(np.ptp(points, axis=1).max() + 2 * reach) + 2, size))
    return np.clip(low, 0, size - width), width


def capsule(layer, ends, radii, colour, *, edge=None, rim=0.0, hollow=False, light=0.0, sun=(0, 1), bands=0.0) -> None:
    """Paints a capsule over the layer.

    ends: (T, 2, 2), its two ends in pixels; radii: (T, 2) in pixels; colour: (3,); edge: (3,) of an outline `rim` pixels wide; hollow:
    only the outline is seen; light: shading from the direction `sun`; bands: depth of cross stripes.
    """
    size, ends, radii = layer.cover.shape[1], ends.astype(np.float32), radii.astype(np.float32)
    reach = float(radii.max()) + 1
    x0, wide = _window(ends[:, :, 0], reach, size)
    y0, high = _window(ends[:, :, 1], reach, size)
    xs, ys = x0[:, None] + np.arange(wide, dtype=np.int32), y0[:, None] + np.arange(high, dtype=np.int32)
    first, step = ends[:, 0], ends[:, 1] - ends[:, 0]
    u = (xs + np.float32(0.5) - first[:, :1])[:, None, :]
    v = (ys + np.float32(0.5) - first[:, 1:])[:, :, None]
    sx, sy = step[:, 0, None, None], step[:, 1, None, None]
    square = sx * sx + sy * sy
    along = np.clip((u * sx + v * sy) / np.maximum(square, 1e-6), 0, 1)
    u, v = u - along * sx, v - along * sy
    radius = radii[:, 0, None, None] + along * (radii[:, 1] - radii[:, 0])[:, None, None]
    inside = radius - np.hypot(u, v)
    cover = np.clip(inside + 0.5, 0, 1)
    hit = cover > 0
    if not hit.any():
        return
    shade = np.float32(1)
    if light:
        shade = shade + light * np.clip(
            (u * np.float32(sun[0]) + v * np.float32(sun[1])) / np.maximum(radius, 0.5), -1, 1
        )
    if bands:
        shade = shade * (1 - bands * (np.sin(along * np.sqrt(square) * 0.9) > 0))
    cover, inside = cover[hit], inside[hit]
    paint = np.asarray(colour, np.float32) * np.broadcast_to(shade, hit.shape)[hit][:, None]
    place = ((np.arange(len(ends), dtype=np.int32)[:, None, None] * size + ys[:, :, None]) * size + xs[:, None, :])[hit]
    if edge is not None:
        core = np.clip(inside - np.float32(rim) + 0.5, 0, 1)
        paint = np.asarray(edge, np.float32) + core[:, None] * (paint - np.asarray(edge, np.float32))
        if hollow:
            flat = layer.hollow.reshape(-1)
            flat[place] = np.maximum(flat[place], core)
    flat, alpha = layer.colour.reshape(-1, 3), layer.cover.reshape(-1)
    below, under = flat[place], alpha[place]
    # Where nothing lies below, the full colour is taken, so that edges do not darken.
    weight = np.where(under > 0, np.maximum(cover, 1 - under), np.float32(1))[:, None]
    flat[place] = below + weight * (paint - below)
    alpha[place] = np.maximum(under, cover)


def lay(frames: np.ndarray, layer: Layer, opacity: float = 1.0, shadow: tuple[int, int] = (0, 0)) -> None:
    """Lays the layer over float32 frames (T, S, S, 3), with a shadow moved by `shadow` pixels (x, y)."""
    cover = layer.cover * (1 - layer.hollow)
    if any(shadow):
        frames *= 1 - 0.35 * np.roll(cover, (shadow[1], shadow[0]), (1, 2))[..., None]
    frames += (np.float32(opacity) * cover)[..., None] * (layer.colour - frames)
