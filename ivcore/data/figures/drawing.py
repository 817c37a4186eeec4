"""Draws rods on a backdrop: light from one side, shadows on the ground, every pixel the mean of four rays.

A formula gives the rays' hits on a rod, for all frames at once, in the smallest window that holds the rod in every frame.
"""

import numpy as np

from ivcore.data.figures.backdrop import Backdrop, backdrop
from ivcore.data.figures.body import Rods
from ivcore.data.figures.camera import Camera
from ivcore.data.figures.plan import Place

_FINE = 2  # rays a pixel, along each side
_STRIPE = 0.045  # metres
_SHADOW = 0.5  # of the light is missing in a shadow


def draw(camera: Camera, rods: Rods, place: Place, size: int) -> np.ndarray:
    """The frames, uint8 (F, size, size, 3)."""
    frames, side = len(camera.position), size * _FINE
    across = ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * np.float32(camera.reach)
    seen = slice(0, 1) if camera.still else slice(None)
    behind = backdrop(_rays(camera.axes[seen], across), camera.position[seen].astype(np.float32), place)
    image = behind.colours * (1 - _SHADOW * _shadows(camera, rods, place, behind, frames, across))[..., None]
    nearest = np.broadcast_to(behind.depth, image.shape[:3]).copy()
    light = (camera.axes @ np.array(place.light)).astype(np.float32)
    a, b = camera.sees(rods.a).astype(np.float32), camera.sees(rods.b).astype(np.float32)
    for rod in range(a.shape[1]):
        _draw_rod(image, nearest, across, light, a[:, rod], b[:, rod], rods, rod, place.ambient)
    image = sum(image[:, k::_FINE] for k in range(_FINE))
    image = sum(image[:, :, k::_FINE] for k in range(_FINE)) / _FINE**2
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _rays(axes: np.ndarray, across: np.ndarray) -> np.ndarray:
    right, up, forward = (axes[:, k, None, None, :].astype(np.float32) for k in range(3))
    rays = across[:, None] * right - across[:, None, None] * up + forward
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def _window(centres: np.ndarray, radii: np.ndarray, across: np.ndarray):
    """Rows (F, H) and columns (F, W) around discs (F, 2 ends, right up forward) in the picture; None if none is visible."""
    side, reach = len(across), across[-1] + (across[1] - across[0]) / 2
    ahead = np.maximum(centres[..., 2], 0.2)
    half = radii / ahead * 1.2
    ranges = []
    for centre in (-centres[..., 1] / ahead, centres[..., 0] / ahead):
        low = np.floor(((centre - half).min(axis=1) / reach + 1) / 2 * side).astype(int) - 1
        high = np.ceil(((centre + half).max(axis=1) / reach + 1) / 2 * side).astype(int) + 1
        low, high = np.clip(low, 0, side), np.clip(high, 0, side)
        length = (high - low).max()
        if length <= 0:
            return None
        ranges.append(np.minimum(low, side - length)[:, None] + np.arange(length))
    return ranges


def _draw_rod(image, nearest, across, light, a, b, rods: Rods, rod: int, ambient: float) -> None:
    """Sets the pixels (F, S, S, 3) where a rod with ends a, b (F, 3), in camera coordinates, is nearest."""
    radius, end_radius = rods.radii[rod]
    window = _window(np.stack([a, b], axis=1), np.array([radius, end_radius]), across)
    if window is None:
        return
    rows, columns = window
    u, v = across[columns][:, None, :], -across[rows][:, :, None]
    length = 1 / np.sqrt(1 + u * u + v * v)
    axis = b - a
    along = _dot(axis, u, v) * length  # products of a unit ray with the rod and with minus its start
    towards = -_dot(a, u, v) * length
    narrower = np.float32(radius - end_radius)
    long, beside = (axis * axis).sum(1) - narrower**2, -(a * axis).sum(1)
    away = (a * a).sum(1)
    per = lambda value: np.asarray(value, np.float32)[:, None, None]  # noqa: E731
    k2 = per(long) - along * along
    k1 = per(long) * towards - per(beside - narrower * radius) * along
    whole = (axis * axis).sum(1)
    k0 = per(long * away - beside**2 + 2 * beside * narrower * radius - whole * radius**2)
    root = k1 * k1 - k0 * k2
    ahead = per((np.minimum(a[:, 2], b[:, 2]) > 0.2).astype(np.float32)) > 0
    hit = np.nonzero((root > 0) & ahead & (k2 > 0))
    frame = hit[0]
    along, towards = along[hit], towards[hit]
    distance = (-np.sqrt(root[hit]) - k1[hit]) / k2[hit]
    where = beside[frame] - radius * narrower + distance * along
    to_end = towards - along
    cap = np.where(where <= 0, towards**2 - away[frame] + radius**2, to_end**2 - (b * b).sum(1)[frame] + end_radius**2)
    round_end = -np.where(where <= 0, towards, to_end) - np.sqrt(np.maximum(cap, 0))
    inside = (where > 0) & (where < long[frame])
    distance = np.where(inside, distance, round_end)
    rows, columns = rows[frame, hit[1]], columns[frame, hit[2]]
    visible = (inside | (cap >= 0)) & (distance < nearest[frame, rows, columns]) & (distance > 0)
    frame, rows, columns = frame[visible], rows[visible], columns[visible]
    distance, where = distance[visible], np.clip(where[visible], 0, long[frame])
    nearest[frame, rows, columns] = distance
    ray = np.stack([across[columns], -across[rows], np.ones_like(distance)], axis=1)
    ray *= (distance * length[hit][visible])[:, None]
    normal = (ray - a[frame]) * long[frame, None] - axis[frame] * where[:, None]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    bright = np.maximum((normal * light[frame]).sum(1), 0)
    shade = ambient * (0.9 + 0.1 * normal[:, 1]) + (1.08 - ambient) * bright
    stripe = np.floor(where / long[frame] * np.sqrt(long[frame]) / _STRIPE) % 2
    colour = np.where(stripe[:, None] > 0, rods.other[rod], rods.colours[rod])
    image[frame, rows, columns] = colour * shade[:, None]


def _dot(vector: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    x, y, z = (vector[:, k, None, None] for k in range(3))
    return x * u + (y * v + z)


def _shadows(camera: Camera, rods: Rods, place: Place, behind: Backdrop, frames: int, across: np.ndarray) -> np.ndarray:
    """(F, S, S) from 0 to 1: the share of light that the rods block. Seen along the light, rods are flat strips."""
    light = np.array(place.light)
    right = np.cross(light, (0.0, 1.0, 0.0))
    right /= np.linalg.norm(right)
    screen = np.stack([right, np.cross(right, light)])
    on_screen = behind.ground @ screen[:, ::2].T.astype(np.float32)
    cast = [ends - light * (ends[..., 1:2] / light[1]) for ends in (rods.a, rods.b)]
    seen = [camera.sees(ends) for ends in cast]
    dark = np.zeros((frames, *behind.depth.shape[1:]), np.float32)
    for rod in range(rods.a.shape[1]):
        radii = rods.radii[rod]
        window = _window(np.stack([ends[:, rod] for ends in seen], axis=1), radii / light[1], across)
        if window is None:
            continue
        rows, columns = window[0][:, :, None], window[1][:, None, :]
        each = np.arange(frames)[:, None, None]
        where = on_screen[each if len(on_screen) > 1 else 0, rows, columns]
        start, end = (ends[:, rod] @ screen.T for ends in (rods.a, rods.b))
        along = (end - start).astype(np.float32)
        beside = where - start[:, None, None].astype(np.float32)
        share = (beside * along[:, None, None]).sum(-1) / ((along**2).sum(-1) + 1e-6)[:, None, None]
        share = np.clip(share, 0, 1)
        away = np.linalg.norm(beside - share[..., None] * along[:, None, None], axis=-1)
        kept = np.clip((radii[0] + share * (radii[1] - radii[0]) - away) / 0.04 + 0.5, 0, 1)
        dark[each, rows, columns] = np.maximum(dark[each, rows, columns], kept)
    return dark * (behind.depth < 60)
