"""Moving shapes: short scenes whose action can only be told from the order of their frames.

Every order-sensitive action is the exact time reversal of its partner: the partner's scene is built by the same code and
then played backwards, background included. A single frame, or all frames in random order, therefore carries no information
about which of the two it is. Only the order does, which is what a video encoder has to learn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

COLOURS = {
    "red": (0.84, 0.19, 0.15),
    "orange": (0.95, 0.56, 0.10),
    "yellow": (0.95, 0.88, 0.25),
    "green": (0.15, 0.62, 0.27),
    "cyan": (0.25, 0.75, 0.85),
    "blue": (0.13, 0.30, 0.75),
    "purple": (0.52, 0.22, 0.66),
    "white": (0.96, 0.96, 0.96),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "hexagon", "bar")
TEXTURES = ("plain", "striped", "checkered", "two-tone")


@dataclass(frozen=True)
class Track:
    """Pose of one thing in every frame: centre x, y and radius in frame widths, angle in radians; each float32 (T,)."""

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    angle: np.ndarray

    def reversed(self) -> "Track":
        return Track(self.x[::-1], self.y[::-1], self.radius[::-1], self.angle[::-1])


@dataclass(frozen=True)
class Thing:
    shape: str
    colour: str
    texture: str
    track: Track

    @property
    def words(self) -> str:
        """Its description in a caption, "red striped square"."""
        texture = "" if self.texture == "plain" else self.texture + " "
        return f"{self.colour} {texture}{self.shape}"


@dataclass(frozen=True)
class Background:
    """Smooth drifting gratings: waves (K, 5) of (kx, ky, phase, amplitude, colour mix), offsets (T, 2) in frame widths."""

    base: np.ndarray
    tint: np.ndarray
    waves: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Scene:
    action: str
    frames: int
    start: int
    stop: int
    objects: tuple[Thing, ...]
    background: Background

    def reversed(self) -> "Scene":
        """The same scene played backwards, which shows the partner action (or the same one, if it has none)."""
        return replace(
            self,
            action=ACTIONS[self.action].partner or self.action,
            start=self.frames - self.stop,
            stop=self.frames - self.start,
            objects=tuple(replace(thing, track=thing.track.reversed()) for thing in self.objects),
            background=replace(self.background, offsets=self.background.offsets[::-1]),
        )

    def boxes(self) -> np.ndarray:
        """Boxes (T, objects, 4) as x1, y1, x2, y2 in [0, 1], clipped to the frame."""
        tracks = [thing.track for thing in self.objects]
        corners = [np.stack([t.x - t.radius, t.y - t.radius, t.x + t.radius, t.y + t.radius], -1) for t in tracks]
        return np.clip(np.stack(corners, 1), 0, 1).astype(np.float32)

    def caption(self, style: int = 0) -> str:
        """One English sentence; `style` picks the template (any integer)."""
        templates = ("{}", "here {}", "in this clip {}", "we see how {}", "a video in which {}")
        actors = [f"{'an' if thing.words[0] in 'aeiou' else 'a'} {thing.words}" for thing in self.objects]
        return templates[style % len(templates)].format(ACTIONS[self.action].phrase.format(*actors))


# ---------------------------------------------------------------------------------------------------------------- actions
# Each motion takes a generator and the progress of the action in every frame (0 before it starts, 1 once it is over) and
# returns the tracks of its actors, the last one on top.


def _track(progress, x, y, radius, angle=0.0) -> Track:
    return Track(*(np.broadcast_to(np.asarray(v, np.float32), progress.shape).copy() for v in (x, y, radius, angle)))


def _tilt(rng) -> float:
    return rng.uniform(0, 2 * np.pi)


def _slide(dx: float, dy: float):
    def motion(rng, p):
        length, radius = rng.uniform(0.55, 0.8), rng.uniform(0.2, 0.27)
        cx, cy = rng.uniform(0.46, 0.54, 2) + rng.uniform(-0.12, 0.12, 2) * np.array([dy, dx])
        shift = (p - 0.5) * length
        return [_track(p, cx + dx * shift, cy + dy * shift, radius, _tilt(rng))]

    return motion


def _turn(rng, p):
    amount = rng.uniform(0.8, 1.3) * np.pi
    x, y = rng.uniform(0.4, 0.6, 2)
    return [_track(p, x, y, rng.uniform(0.25, 0.34), _tilt(rng) + amount * p)]


def _grow(rng, p):
    x, y = rng.uniform(0.4, 0.6, 2)
    small, big = rng.uniform(0.08, 0.14), rng.uniform(0.36, 0.46)
    return [_track(p, x, y, small + (big - small) * p, _tilt(rng))]


def _apart(rng, p):
    heading, near, far = _tilt(rng), rng.uniform(0.1, 0.14), rng.uniform(0.36, 0.46)
    reach = near + (far - near) * p
    cx, cy = rng.uniform(0.46, 0.54, 2)
    ux, uy = np.cos(heading), np.sin(heading)
    radius = rng.uniform(0.13, 0.17, 2)
    return [_track(p, cx + s * reach * ux, cy + s * reach * uy, r, _tilt(rng)) for s, r in zip((-1, 1), radius)]


def _cover(rng, p):
    """The second thing moves over the first until it hides most of it."""
    heading, distance = _tilt(rng), rng.uniform(0.4, 0.5)
    x, y = rng.uniform(0.4, 0.6, 2)
    away = (1 - p) * distance
    below = _track(p, x, y, rng.uniform(0.14, 0.18), _tilt(rng))
    above = _track(p, x + away * np.cos(heading), y + away * np.sin(heading), rng.uniform(0.22, 0.28), _tilt(rng))
    return [below, above]


def _orbit(rng, p):
    begin, sweep = _tilt(rng), rng.uniform(1.2, 1.7) * np.pi
    cx, cy, reach = *rng.uniform(0.46, 0.54, 2), rng.uniform(0.3, 0.36)
    angle = begin + sweep * p
    centre = _track(p, cx, cy, rng.uniform(0.14, 0.18), _tilt(rng))
    moon = _track(p, cx + reach * np.cos(angle), cy + reach * np.sin(angle), rng.uniform(0.09, 0.13), _tilt(rng))
    return [moon, centre]


def _push(rng, p):
    """The first thing runs into the second, then both go on together."""
    heading, radius, travel = _tilt(rng), rng.uniform(0.12, 0.16, 2), rng.uniform(0.6, 0.8)
    touch = rng.uniform(0.35, 0.55)
    along = -travel / 2 + travel * p
    contact = -travel / 2 + travel * touch + radius.sum()
    pushed = np.maximum(along + radius.sum(), contact)
    shift = -radius.sum() / 2
    ux, uy = np.cos(heading), np.sin(heading)
    paths = zip((along + shift, pushed + shift), radius)
    return [_track(p, 0.5 + s * ux, 0.5 + s * uy, r, _tilt(rng)) for s, r in paths]


def _shake(rng, p):
    x, y, heading = *rng.uniform(0.4, 0.6, 2), _tilt(rng)
    swing = rng.uniform(0.08, 0.12) * np.sin(2 * np.pi * rng.integers(2, 4) * p)
    return [_track(p, x + swing * np.cos(heading), y + swing * np.sin(heading), rng.uniform(0.2, 0.27), _tilt(rng))]


def _jump(rng, p):
    x, floor, height = rng.uniform(0.4, 0.6), rng.uniform(0.66, 0.74), rng.uniform(0.3, 0.42)
    return [_track(p, x, floor - height * 4 * p * (1 - p), rng.uniform(0.18, 0.24), _tilt(rng))]


def _rest(rng, p):
    x, y = rng.uniform(0.35, 0.65, 2)
    return [_track(p, x, y, rng.uniform(0.18, 0.3), _tilt(rng))]


@dataclass(frozen=True)
class Action:
    """`phrase` has one {} for each actor; `backwards`: the motion is played in reverse; `partner`: its time reversal."""

    name: str
    phrase: str
    motion: Callable
    partner: str | None = None
    backwards: bool = False


def _pair(first: str, first_phrase: str, second: str, second_phrase: str, motion) -> list[Action]:
    return [
        Action(first, first_phrase, motion, partner=second),
        Action(second, second_phrase, motion, partner=first, backwards=True),
    ]


ACTIONS: dict[str, Action] = {
    action.name: action
    for action in [
        *_pair("slide right", "{} slides to the right", "slide left", "{} slides to the left", _slide(1, 0)),
        *_pair("fall", "{} falls", "rise", "{} rises", _slide(0, 1)),
        *_pair("turn clockwise", "{} turns clockwise", "turn counter-clockwise", "{} turns counter-clockwise", _turn),
        *_pair("grow", "{} grows", "shrink", "{} shrinks", _grow),
        *_pair("move apart", "{} and {} move apart", "approach", "{} and {} approach each other", _apart),
        *_pair("cover", "{0} is covered by {1}", "uncover", "{0} is uncovered by {1}", _cover),
        *_pair(
            "orbit clockwise",
            "{} orbits {} clockwise",
            "orbit counter-clockwise",
            "{} orbits {} counter-clockwise",
            _orbit,
        ),
        *_pair("push", "{} pushes {}", "pull", "{} pulls {}", _push),
        Action("shake", "{} shakes", _shake),
        Action("jump", "{} jumps", _jump),
        Action("rest", "{} stays where it is", _rest),
    ]
}
ORDER_PAIRS = tuple((a.name, a.partner) for a in ACTIONS.values() if a.partner and not a.backwards)


# ------------------------------------------------------------------------------------------------------------------ scenes


def _progress(rng, frames: int, start: int, stop: int) -> np.ndarray:
    """(frames,): 0 up to `start`, 1 from the last frame before `stop` on; linear or eased, both symmetric in time."""
    p = np.clip((np.arange(frames) - start) / max(stop - 1 - start, 1), 0, 1)
    return p * p * (3 - 2 * p) if rng.random() < 0.5 else p


def _background(rng, frames: int, contrast: float, drift: float, waves: int) -> Background:
    base = rng.uniform(0.25, 0.6) + rng.uniform(-0.08, 0.08, 3)
    heading, speed = _tilt(rng), rng.uniform(0, drift)
    time = np.arange(frames) - (frames - 1) / 2
    angles, pitch = rng.uniform(0, 2 * np.pi, waves), rng.uniform(0.3, 0.7, waves)
    phase, size, mix = rng.uniform(0, 1, waves), rng.uniform(0.6, 1, waves), np.linspace(0, 1, waves)
    gratings = np.stack([pitch * np.cos(angles), pitch * np.sin(angles), phase, size, mix], -1)
    offsets = speed * time[:, None] * np.array([np.cos(heading), np.sin(heading)])
    return Background(base, contrast * rng.uniform(-1, 1, 3), gratings, offsets)


def _looks(rng, count: int, shapes: Sequence[str], **fixed: str | None) -> list[dict[str, str]]:
    """Shape, colour and texture of each actor: all colours differ; `fixed` sets the first actor's looks."""
    colours = rng.permutation(list(COLOURS))
    looks = [
        {"shape": str(rng.choice(shapes)), "colour": str(colours[i]), "texture": str(rng.choice(TEXTURES))}
        for i in range(count)
    ]
    looks[0] |= {k: v for k, v in fixed.items() if v is not None}
    for other in looks[1:]:
        if other["colour"] == looks[0]["colour"]:
            other["colour"] = str(colours[count])
    return looks


def make_scene(
    seed: int | Sequence[int],
    action: str,
    *,
    frames: int = 16,
    start: int = 0,
    stop: int | None = None,
    shape: str | None = None,
    colour: str | None = None,
    texture: str | None = None,
    shapes: Sequence[str] = SHAPES,
    contrast: float = 0.05,
    drift: float = 0.01,
    waves: int = 1,
) -> Scene:
    """A scene that is a pure function of its arguments.

    The action takes place in frames [start, stop); the things rest before and after. `shape`, `colour` and `texture` fix the first
    actor's looks; the rest is drawn at random, shapes from `shapes`. `contrast`: of the background; `drift`: its largest speed in frame
    widths a frame; `waves`: the number of its gratings.
    `make_scene(s, a)` played backwards is exactly `make_scene(s, partner of a)`.
    """
    kind, rng = ACTIONS[action], np.random.default_rng(seed)
    stop = frames if stop is None else stop
    first, last = (frames - stop, frames - start) if kind.backwards else (start, stop)
    tracks = kind.motion(rng, _progress(rng, frames, first, last))
    looks = _looks(rng, len(tracks), tuple(shapes), shape=shape, colour=colour, texture=texture)
    things = tuple(Thing(track=track, **look) for track, look in zip(tracks, looks))
    forward = kind.partner if kind.backwards else action
    scene = Scene(forward, frames, first, last, things, _background(rng, frames, contrast, drift, waves))
    return scene.reversed() if kind.backwards else scene


# --------------------------------------------------------------------------------------------------------------- rendering


def _distance(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Approximate signed distance (negative inside) to the outline of a shape of radius 1, in its own coordinates."""
    match shape:
        case "circle":
            return np.hypot(u, v) - 0.9
        case "ring":
            return np.abs(np.hypot(u, v) - 0.68) - 0.27
        case "square":
            return np.maximum(np.abs(u), np.abs(v)) - 0.76
        case "bar":
            return np.maximum(np.abs(u) - 0.95, np.abs(v) - 0.42)
        case "cross":
            a, b = np.abs(u), np.abs(v)
            return np.minimum(np.maximum(a - 0.95, b - 0.34), np.maximum(b - 0.95, a - 0.34))
        case "star":
            return np.hypot(u, v) - (0.68 + 0.3 * np.cos(5 * np.arctan2(v, u)))
    sides, inner = {"triangle": (3, 0.5), "hexagon": (6, 0.82)}[shape]
    normals = 2 * np.pi * np.arange(sides) / sides
    return np.max([np.cos(a) * u + np.sin(a) * v for a in normals], axis=0) - inner


def _shade(texture: str, u: np.ndarray, v: np.ndarray) -> np.ndarray | float:
    """Brightness factor of a texture in the thing's own coordinates, so that it turns with the thing."""
    match texture:
        case "striped":
            return 0.72 + 0.28 * np.tanh(3 * np.sin(2.2 * np.pi * u))
        case "checkered":
            return 0.72 + 0.28 * np.tanh(4 * np.sin(1.6 * np.pi * u) * np.sin(1.6 * np.pi * v))
        case "two-tone":
            return 0.7 + 0.3 * np.tanh(6 * v)
    return 1.0


def _paint(image: np.ndarray, thing: Thing, grid: np.ndarray) -> None:
    """Draws one thing into float32 frames (T, H, W, 3), antialiased over one pixel; changes only the box that it visits."""
    track, size = thing.track, len(grid)
    reach = track.radius.max() * 1.05 + 1 / size
    x0, x1 = (
        int(np.clip(np.floor(b * size), 0, size)) for b in (track.x.min() - reach, track.x.max() + reach + 1 / size)
    )
    y0, y1 = (
        int(np.clip(np.floor(b * size), 0, size)) for b in (track.y.min() - reach, track.y.max() + reach + 1 / size)
    )
    x, y, radius, angle = (a[:, None, None] for a in (track.x, track.y, track.radius, track.angle))
    dx, dy = (grid[x0:x1][None, None, :] - x) / radius, (grid[y0:y1][None, :, None] - y) / radius
    cos, sin = np.cos(angle), np.sin(angle)
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    alpha = np.clip(0.5 - _distance(thing.shape, u, v) * radius * size, 0, 1)[..., None]
    colour = np.asarray(COLOURS[thing.colour], np.float32) * np.expand_dims(_shade(thing.texture, u, v), -1)
    region = image[:, y0:y1, x0:x1]
    region += alpha * (colour - region)


def render(scene: Scene, size: int = 64) -> np.ndarray:
    """The scene's frames, uint8 (T, size, size, 3)."""
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size
    back = scene.background
    x = grid[None, None, :] - back.offsets[:, 0, None, None].astype(np.float32)
    y = grid[None, :, None] - back.offsets[:, 1, None, None].astype(np.float32)
    image = np.broadcast_to(back.base, (scene.frames, size, size, 3)).astype(np.float32)
    for kx, ky, phase, amplitude, mix in back.waves.astype(np.float32):
        wave = amplitude * np.sin(2 * np.pi * (kx * x + ky * y + phase))
        image += wave[..., None] * (mix * back.tint + (1 - mix) * np.abs(back.tint).mean()).astype(np.float32)
    for thing in scene.objects:
        _paint(image, thing, grid)
    # Light from above makes no tubelet flat. The normalised target of a flat one would be coding noise.
    image *= (1.35 - 0.7 * grid)[:, None, None]
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
