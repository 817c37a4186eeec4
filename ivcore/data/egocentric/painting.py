"""Paints a scene: the table's texture, which moves as the camera does, the things, and the hands over them."""

from __future__ import annotations

import numpy as np

from ivcore.data.creatures.painting import Layer, capsule, lay
from ivcore.data.egocentric.scenes import COLOURS, RADIUS, REST, VERBS, Scene, Thing

_DARK, _BRIGHT = np.array([0.08, 0.08, 0.1]), np.array([1.0, 0.98, 0.75])
_FINGERS = {"push": (-0.35, -0.12, 0.12, 0.35), "pull": (), "take": (-1.1, -0.5, 0.5, 1.1), "rub": (-0.8, -0.3, 0.3, 0.8),
            "switch on": (0.0,), "switch off": (0.0,)}  # fmt: skip


def render(scene: Scene, size: int) -> np.ndarray:
    """uint8 (T, size, size, 3)"""
    frames = _ground(scene, size)
    things, hands = Layer.empty(len(frames), size), Layer.empty(len(frames), size)
    for thing in scene.things:
        stays = int(thing.there.sum())
        _thing(_until(things, stays), thing, (scene.seen(thing.place) * size)[:stays], size)
    for which in range(2):
        _hand(hands, scene, which, size)
    lay(frames, things, shadow=(1, 1))
    lay(frames, hands, shadow=(1, 1))
    return (frames.clip(0, 1) * 255).round().astype(np.uint8)


def _until(layer: Layer, stop: int, start: int = 0) -> Layer:
    """Some of the frames; what is painted there is painted in the layer."""
    return Layer(*(each[start:stop] for each in (layer.colour, layer.cover, layer.hollow)))


def _ground(scene: Scene, size: int) -> np.ndarray:
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x = axis[None, None, :] + scene.camera[:, 0, None, None].astype(np.float32)
    y = axis[None, :, None] + scene.camera[:, 1, None, None].astype(np.float32)
    shade = np.zeros((len(scene.camera), size, size), np.float32)
    for (along, across), phase in zip(scene.ground["waves"].astype(np.float32), scene.ground["phases"]):
        shade += np.sin(2 * np.pi * (along * x + across * y) / 2 + np.float32(phase))
    return scene.ground["colour"].astype(np.float32) * (1 + 0.12 * shade[..., None])


def _thing(layer: Layer, thing: Thing, middle: np.ndarray, size: int) -> None:
    """A body of one colour with a spot that says whether it is switched on."""
    reach = (RADIUS[thing.noun] * thing.size[: len(middle)] * size)[:, None]
    colour, edge = np.array(COLOURS[thing.colour]), np.array(COLOURS[thing.colour]) * 0.45
    along = np.array([np.sin(thing.turn), -np.cos(thing.turn)])
    ends, radii = {
        "ball": ((0, 0), (0.95, 0.95)), "plate": ((0, 0), (1, 1)), "cup": ((-0.25, 0.25), (0.7, 0.7)),
        "bottle": ((-0.4, 0.75), (0.55, 0.25)), "stick": ((-0.8, 0.8), (0.22, 0.22)),
    }[thing.noun]  # fmt: skip
    look = {"edge": edge, "rim": 1.0}
    capsule(layer, _from(middle, along, reach, *ends), reach * radii, colour, light=0.15, **look)
    if thing.noun == "cup":
        side = np.array([-along[1], along[0]])
        capsule(layer, _from(middle, side, reach, 0.7, 0.95), reach * (0.22, 0.22), colour, **look)
    if thing.noun == "plate":
        capsule(layer, _from(middle, along, reach, 0, 0), reach * (0.65, 0.65), colour * 0.8)
    spot, lit = reach * (0.35 if thing.noun != "stick" else 0.2), thing.lit[: len(middle), None]
    for light, shown in ((_DARK, lit < 0.5), (_BRIGHT, lit >= 0.5)):
        capsule(layer, _from(middle, along, reach, 0, 0), np.tile(np.where(shown, spot, -2), 2), light)


def _from(middle: np.ndarray, along: np.ndarray, reach: np.ndarray, first: float, second: float) -> np.ndarray:
    return np.stack([middle + first * reach * along, middle + second * reach * along], 1)


def _hand(layer: Layer, scene: Scene, which: int, size: int) -> None:
    """Sleeve, palm, and the fingers that the verb needs: none is a fist, one points."""
    palm, skin = scene.seen(scene.hands[which]) * size, scene.ground["skin"]
    shoulder = (
        scene.seen(np.tile(np.array(REST[which]) + np.array([0.05 * (2 * which - 1), 0.35]), (len(palm), 1))) * size
    )
    way = palm - shoulder
    along = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    unit = np.full((len(palm), 1), size / 64)
    wrist = palm - 5 * unit * along
    capsule(layer, np.stack([shoulder, wrist], 1), unit * (6, 4), scene.ground["sleeve"])
    shapes = scene.shapes[which]
    for start, stop in zip(
        *(np.flatnonzero(np.diff(shapes, prepend=-1, append=-1))[k : k - 1 or None] for k in (0, 1))
    ):
        part, ahead = _until(layer, stop, start), along[start:stop]
        for angle in _FINGERS[VERBS[shapes[start]]]:
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            ends = np.stack([palm[start:stop], palm[start:stop] + 8.5 * size / 64 * ahead @ turn], 1)
            capsule(part, ends, np.tile(1.4 * unit[start:stop], 2), skin, edge=skin * 0.6, rim=0.5)
    capsule(layer, np.stack([palm, palm], 1), np.tile(4.2 * unit, 2), skin, edge=skin * 0.6, rim=0.8)
