"""Paints a scene: the table's texture, which shifts with the camera, then the things, then the hands."""

from __future__ import annotations

import numpy as np

from ivcore.data.creatures.painting import Layer, capsule, lay
from ivcore.data.egocentric.scenes import COLOURS, RADIUS, REST, Scene, Thing

_SPREAD = {0: 0.24, 2: 0.73, 4: 0.0}  # kind of verbs, see `scenes.DONE_TO` -> radians between fingers


def render(scene: Scene, size: int) -> np.ndarray:
    """The scene's frames, uint8 (T, size, size, 3)."""
    frames = _ground(scene, size)
    things, hands = Layer.empty(len(frames), size), Layer.empty(len(frames), size)
    for thing in scene.things:
        _thing(things, thing, scene.seen(thing.place) * size, size)
    for which in range(2):
        _hand(hands, scene, which, size)
    lay(frames, things, shadow=(1, 1))
    lay(frames, hands, shadow=(1, 1))
    return (frames.clip(0, 1) * 255).round().astype(np.uint8)


def _ground(scene: Scene, size: int) -> np.ndarray:
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x = axis[None, None, :] + scene.camera[:, 0, None, None].astype(np.float32)
    y = axis[None, :, None] + scene.camera[:, 1, None, None].astype(np.float32)
    shade = np.zeros((len(scene.camera), size, size), np.float32)
    for (along, across), phase in zip(scene.ground["waves"].astype(np.float32), scene.ground["phases"]):
        shade += np.sin(2 * np.pi * (along * x + across * y) / 2 + np.float32(phase))
    return scene.ground["colour"].astype(np.float32) * (1 + 0.12 * shade[..., None])


def _thing(layer: Layer, thing: Thing, middle: np.ndarray, size: int) -> None:
    reach = np.full((len(middle), 1), RADIUS[thing.noun] * size)
    colour, edge = np.array(COLOURS[thing.colour]), np.array(COLOURS[thing.colour]) * 0.45
    along = np.array([np.sin(thing.turn), -np.cos(thing.turn)])
    ends, radii = {
        "bottle": ((-0.4, 0.75), (0.55, 0.25)), "cup": ((-0.25, 0.25), (0.7, 0.7)), "bolt": ((-0.8, 0.8), (0.22, 0.22)),
        "lid": ((0, 0), (1, 1)), "clock": ((0, 0), (1, 1)), "reel": ((0, 0), (0.95, 0.95)),
    }[thing.noun]  # fmt: skip
    look = {"edge": edge, "rim": 1.0}
    capsule(layer, _from(middle, along, reach, *ends), reach * radii, colour, light=0.15, **look)
    side = np.array([-along[1], along[0]])
    if thing.noun == "cup":
        capsule(layer, _from(middle, side, reach, 0.7, 0.95), reach * (0.22, 0.22), colour, **look)
    if thing.noun == "lid":
        capsule(layer, _from(middle, along, reach, 0, 0), reach * (0.65, 0.65), colour * 0.8)
    if thing.noun == "clock":
        for way, length in ((along, 0.8), (side, 0.5)):
            capsule(layer, _from(middle, way, reach, 0, length), reach * (0.12, 0.12), edge)


def _from(middle: np.ndarray, along: np.ndarray, reach: np.ndarray, first: float, second: float) -> np.ndarray:
    return np.stack([middle + first * reach * along, middle + second * reach * along], 1)


def _hand(layer: Layer, scene: Scene, which: int, size: int) -> None:
    """Paints the sleeve, the palm, and the fingers as the verb needs them."""
    palm, skin = scene.seen(scene.hands[which]) * size, scene.ground["skin"]
    shoulder = (
        scene.seen(np.tile(np.array(REST[which]) + np.array([0.05 * (2 * which - 1), 0.35]), (len(palm), 1))) * size
    )
    way = palm - shoulder
    along = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    unit = np.full((len(palm), 1), 1.3 * size / 64)
    wrist = palm - 5 * unit * along
    capsule(layer, np.stack([shoulder, wrist], 1), unit * (6, 4), scene.ground["sleeve"])
    across, spread = np.stack([-along[:, 1], along[:, 0]], 1), np.vectorize(_SPREAD.get)(scene.shapes[which])[:, None]
    for finger in (-1.5, -0.5, 0.5, 1.5):
        tip = palm + 8.5 * unit * (np.cos(finger * spread) * along + np.sin(finger * spread) * across)
        capsule(layer, np.stack([palm, tip], 1), np.tile(1.4 * unit, 2), skin, edge=skin * 0.6, rim=0.5)
    capsule(layer, np.stack([palm, palm], 1), np.tile(4.2 * unit, 2), skin, edge=skin * 0.6, rim=0.8)
