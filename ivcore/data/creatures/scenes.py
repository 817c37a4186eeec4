"""Draws a scene (a body, its look and its place) and renders its actions."""

from dataclasses import dataclass

import numpy as np

from ivcore.data.creatures import actions, bodies, grounds, looks, painting
from ivcore.data.creatures.skeleton import Body

CAMERAS = ("still", "pans", "zooms", "shakes")


@dataclass(frozen=True)
class Scene:
    """plan: name of the body plan; count: how many creatures there are; `seed` decides everything else."""

    plan: str
    count: int
    look: looks.Look
    ground: grounds.Ground
    camera: str
    seed: tuple[int, ...]

    @property
    def body(self) -> Body:
        return _body(self.plan, self.seed)


def _body(plan: str, seed: tuple[int, ...]) -> Body:
    return bodies.BODIES[plan](np.random.default_rng((*seed, 1)))


def _can(body: Body, doings: tuple[str, ...]) -> bool:
    return all(actions.ACTIONS[doing].can(body) for doing in doings)


def make_scene(seed: tuple[int, ...], doings: tuple[str, ...]) -> Scene:
    """A random scene in which all of these actions are possible."""
    rng = np.random.default_rng((*seed, 0))
    names = (str(name) for name in rng.permutation(list(bodies.BODIES)))
    plan = next(name for name in names if _can(_body(name, seed), doings))
    ground = grounds.draw_ground(rng)
    return Scene(
        plan=plan,
        count=int(rng.choice([1, 2, 3, 4], p=[0.8, 0.1, 0.06, 0.04])),
        look=looks.draw_look(rng, ground.colours),
        ground=ground,
        camera=str(rng.choice(CAMERAS, p=[0.5, 0.22, 0.14, 0.14])),
        seed=seed,
    )


def render(scene: Scene, action: str, frames: int, size: int) -> np.ndarray:
    """The action's frames, uint8 (frames, size, size, 3). A reversed action shows its partner's frames from last to first."""
    kind = actions.ACTIONS[action]
    if kind.backwards:
        return render(scene, kind.partner, frames, size)[::-1]
    rng = np.random.default_rng((*scene.seed, 2, actions.CLASSES.index(action)))
    shift, zoom = _camera(rng, scene.camera, frames)
    image = _view(grounds.picture(scene.ground, size), shift, zoom, size)
    if rng.random() < 0.12:
        _passer_by(rng, scene, image, shift, zoom)
    layer = painting.Layer.empty(frames, size)
    body = scene.body
    extent = rng.uniform(0.4, 1.0) if scene.count == 1 else rng.uniform(0.25, 0.45)
    mirrored = -1 if rng.random() < 0.5 else 1
    for _ in range(scene.count):
        _creature(rng, layer, body, scene.look, action, extent, mirrored, shift, zoom)
    if rng.random() < 0.1:
        _post(rng, layer, shift, zoom)
    shadow = tuple(int(x) for x in np.round(scene.look.shadow * size))
    painting.lay(image, layer, scene.look.opacity, shadow)
    _light(rng, image)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _camera(rng, kind: str, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The camera's offset from the middle (T, 2), in frame widths, and its magnification (T,)."""
    t = np.linspace(-0.5, 0.5, frames)
    shift, zoom = np.zeros((frames, 2)), np.ones(frames)
    if kind == "pans":
        heading = rng.uniform(0, 2 * np.pi)
        shift += rng.uniform(0.1, 0.28) * t[:, None] * np.array([np.cos(heading), np.sin(heading)])
    elif kind == "zooms":
        zoom *= np.exp(rng.choice([-1, 1]) * rng.uniform(0.15, 0.35) * t)
    elif kind == "shakes":
        shift += np.cumsum(rng.normal(0, rng.uniform(0.004, 0.012), (frames, 2)), 0)
    return shift, zoom


def _view(picture: np.ndarray, shift: np.ndarray, zoom: np.ndarray, size: int) -> np.ndarray:
    """The camera's view of the ground `picture` (n, n, 3): float32 (T, size, size, 3)."""
    frames, margin = len(zoom), (len(picture) - size) / 2
    image = np.empty((frames, size, size, 3), np.float32)
    if not shift.any() and (zoom == 1).all():
        first = int(margin)
        image[:] = picture[first : first + size, first : first + size]
        return image
    grid = (np.arange(size) + 0.5) / size - 0.5
    for k in range(frames):
        view = picture
        for axis in (1, 0):  # y is axis 0
            at = (grid / zoom[k] + 0.5 + shift[k, 1 - axis]) * size - 0.5 + margin
            low = np.clip(np.floor(at), 0, len(picture) - 2).astype(int)
            part = np.clip(at - low, 0, 1).astype(np.float32)
            part = part[:, None, None] if axis == 0 else part[None, :, None]
            first = np.take(view, low, axis)
            view = first + part * (np.take(view, low + 1, axis) - first)
        image[k] = view
    return image


def _project(points: np.ndarray, shift: np.ndarray, zoom: np.ndarray, size: int) -> np.ndarray:
    """Converts points (T, ..., 2) from frame widths to pixels."""
    along = (len(zoom),) + (1,) * (points.ndim - 2)
    return ((points - 0.5 - shift.reshape(*along, 2)) * zoom.reshape(*along, 1) + 0.5) * size


def _creature(rng, layer, body, look, action, extent, mirrored, shift, zoom) -> None:
    frames, size = layer.cover.shape[:2]
    pose = actions.perform(rng, body, action, frames)
    points = pose.points(body)
    ball = pose.ball if pose.ball is not None else points[:, 0, 0]
    points = np.concatenate([points.reshape(frames, -1, 2), ball[:, None]], 1) * [mirrored, 1]
    if actions.ACTIONS[action].name == "walk right" and mirrored < 0:
        points[..., 0] += 2 * pose.x[:, None]
    if actions.ACTIONS[action].name == "spin clockwise" and mirrored < 0:
        points[..., 0] *= -1
    rest = body.rest().reshape(-1, 2)
    scale = extent / max(np.ptp(rest, axis=0).max(), 0.25)
    points *= scale
    # A creature with a large movement is drawn smaller, so that it stays in view.
    scale *= (shrink := min(1.0, 1.05 / np.ptp(points.reshape(-1, 2), axis=0).max()))
    points *= shrink * pose.zoom[:, None, None]
    thick = scale * look.width * max(max(bone.radius) for bone in body.bones)
    points = _project(points + _place(rng, points, thick, shift, zoom), shift, zoom, size)
    grown = (scale * pose.zoom * zoom * size)[:, None]
    ends = points[:, :-1].reshape(frames, -1, 2, 2)
    _draw(layer, body, look, ends, grown, zoom, size)
    if pose.ball is not None:
        at = np.repeat(points[:, -1:], 2, 1)
        painting.capsule(layer, at, np.repeat(grown * 0.07, 2, 1), 1 - look.second, edge=look.edge, rim=0.8)


def _place(rng, points, thick, shift, zoom) -> np.ndarray:
    """An offset (2,) for points (T, N, 2) that keeps them in view in all frames, as far as possible: the best of eight tries."""
    low, high = points.min((0, 1)) - thick, points.max((0, 1)) + thick
    slack = 1 - (high - low)
    tries = np.where(slack > 0, rng.random((8, 2)) * slack, slack / 2) - low
    corners = np.array([points.min(1) - thick, points.max(1) + thick]).swapaxes(0, 1)
    outside = [
        np.abs(seen - seen.clip(0, 1)).sum() for seen in (_project(corners + at, shift, zoom, 1) for at in tries)
    ]
    return tries[int(np.argmin(outside))]


def _draw(layer, body, look, ends, grown, zoom, size) -> None:
    order = sorted(range(len(body.bones)), key=lambda k: not body.bones[k].far)
    for k in order:
        bone = body.bones[k]
        if bone.draw == "none":
            continue
        at = ends[:, k] if bone.draw == "line" else np.repeat(ends[:, k, 1:], 2, 1)
        radii = grown * np.array(bone.radius) * look.width
        if look.line and bone.draw == "line":
            radii = np.broadcast_to((look.line * zoom * size)[:, None], radii.shape)
        radii = np.maximum(radii, 0.45)
        colour = look.colour if bone.part in ("trunk", "limb", "base", "wing") else look.second
        colour = colour * 0.8 if bone.far else colour
        outline = {}
        if look.style != "filled":
            outline = {"edge": look.edge, "rim": max(0.8, size * 0.014), "hollow": look.style == "hollow"}
        painting.capsule(layer, at, radii, colour, light=look.light, sun=look.sun, bands=look.bands, **outline)


def _passer_by(rng, scene, image, shift, zoom) -> None:
    """A small creature of another kind in the background, which hardly moves."""
    layer = painting.Layer.empty(*image.shape[:2])
    body = bodies.BODIES[str(rng.choice(list(bodies.BODIES)))](rng)
    look = looks.draw_look(rng, scene.ground.colours)
    _creature(rng, layer, body, look, "stand still", rng.uniform(0.15, 0.25), 1, shift, zoom)
    painting.lay(image, layer, 0.8)


def _post(rng, layer, shift, zoom) -> None:
    """A post that stands in front of the scene."""
    x, lean, size = rng.uniform(0.1, 0.9), rng.uniform(-0.15, 0.15), layer.cover.shape[1]
    ends = np.broadcast_to(np.array([[x - lean, -0.5], [x + lean, 1.5]]), (len(zoom), 2, 2))
    radius = np.broadcast_to((rng.uniform(0.015, 0.05) * size * zoom)[:, None], (len(zoom), 2))
    painting.capsule(layer, _project(ends, shift, zoom, size), radius, rng.random(3), light=0.2, sun=(1, 0))


def _light(rng, image: np.ndarray) -> None:
    """Sometimes the light changes, the picture is out of focus, or the camera's sensor is noisy."""
    frames, kind = len(image), rng.random()
    if kind < 0.1:
        image *= np.linspace(1, rng.uniform(0.6, 1.3), frames, dtype=np.float32)[:, None, None, None]
    elif kind < 0.16:
        image *= rng.uniform(0.88, 1.1, (frames, 1, 1, 1)).astype(np.float32)
    elif kind < 0.28:
        image *= rng.uniform(0.65, 1.2, 3).astype(np.float32)
    if rng.random() < 0.1:
        image[:, 1:-1] = 0.5 * image[:, 1:-1] + 0.25 * (image[:, 2:] + image[:, :-2])
        image[:, :, 1:-1] = 0.5 * image[:, :, 1:-1] + 0.25 * (image[:, :, 2:] + image[:, :, :-2])
    if rng.random() < 0.15:
        image += np.float32(rng.uniform(0.01, 0.03)) * rng.standard_normal(image.shape[:3], np.float32)[..., None]
