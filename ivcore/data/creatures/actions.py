"""The creatures' actions. An action says how parts move; any body that has such parts can do it.

In a pair, one action is the other played backwards, frame by frame: only the order of the frames tells them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ivcore.data.creatures.skeleton import Body

TAU = 2 * np.pi


@dataclass
class Pose:
    """A body in every frame. joint, scale (T, B): joint offsets in radians and length factors. x, y, turn, zoom, width (T,): place,
    rotation in radians, size factor, and width factor (-1: mirror image). pivot: the body turns about this point of it at rest. ball: (T, 2).
    """

    joint: np.ndarray
    scale: np.ndarray
    x: np.ndarray
    y: np.ndarray
    turn: np.ndarray
    zoom: np.ndarray
    width: np.ndarray
    pivot: np.ndarray
    ball: np.ndarray | None = None

    @classmethod
    def rest(cls, body: Body, frames: int) -> "Pose":
        shape, corners = (frames, len(body.bones)), body.rest().reshape(-1, 2)
        middle = (corners.min(0) + corners.max(0)) / 2
        still = [np.zeros(frames) for _ in range(3)]
        return cls(np.zeros(shape), np.ones(shape), *still, np.ones(frames), np.ones(frames), middle)

    def points(self, body: Body) -> np.ndarray:
        """(T, B, 2, 2): start and end of every bone, in units of the body, before `zoom`."""
        points = body.points(self.joint, self.scale) - self.pivot
        cos, sin = np.cos(self.turn)[:, None, None], np.sin(self.turn)[:, None, None]
        x, y = points[..., 0], points[..., 1]
        points = np.stack([(cos * x - sin * y) * self.width[:, None, None], sin * x + cos * y], -1)
        return points + np.stack([self.x, self.y], -1)[:, None, None]


@dataclass(frozen=True)
class Moment:
    """Time in an action, each (T,): `p` goes from 0 to 1 while the action lasts, `t` evenly over the whole clip."""

    p: np.ndarray
    t: np.ndarray


def _bump(t, centre, width):
    return np.exp(-(((t - centre) / width) ** 2))


def _between(p, first, last):
    """0 up to `first`, 1 from `last` on, smooth between them."""
    q = np.clip((p - first) / (last - first), 0, 1)
    return q * q * (3 - 2 * q)


def _upwards(body: Body, bone: int) -> float:
    """The sign of the turn that lifts a bone's end."""
    side = np.cos(body.bones[bone].angle)
    return -1.0 if side >= 0 else 1.0


def _stride(rng, body, pose, t, limbs, degrees, cycles):
    """Limbs swing to and fro in turn."""
    reach = np.deg2rad(degrees)
    for order, limb in enumerate(limbs):
        phase = TAU * (cycles * t + order / 2 + 0.13 * (order // 2))
        pose.joint[:, body.limbs[limb][0]] += reach * np.sin(phase)
        for bone in body.limbs[limb][1:2]:
            pose.joint[:, bone] += 0.7 * reach * (1 + np.cos(phase))


def _walk(rng, body, pose, now):
    cycles = rng.uniform(1.6, 3)
    _stride(rng, body, pose, now.t, body.legs, rng.uniform(18, 34), cycles)
    arms = [k for k in range(len(body.limbs)) if k not in body.legs and body.bones[body.limbs[k][0]].part == "limb"]
    _stride(rng, body, pose, now.t, arms[::-1], rng.uniform(10, 25), cycles)
    pose.x += rng.uniform(0.6, 1.1) * (now.p - 0.5)
    pose.y -= rng.uniform(0.01, 0.04) * np.abs(np.sin(TAU * cycles * now.t))


def _crawl(rng, body, pose, now):
    cycles, wave = rng.uniform(1.5, 2.5), rng.uniform(0.15, 0.35)
    if body.tall:
        pose.turn += rng.uniform(1.2, 1.6)
    for k, bone in enumerate(body.chain):
        pose.scale[:, bone] *= 1 + wave * np.sin(TAU * (cycles * now.t - k / 5))
        pose.joint[:, bone] += wave * np.sin(TAU * (cycles * now.t - k / 4))
    _stride(rng, body, pose, now.t, [k for k in range(len(body.limbs)) if len(body.limbs[k]) < 4], 22, cycles)
    pose.x += rng.choice([-1, 1]) * rng.uniform(0.3, 0.55) * (now.p - 0.5)


def _climb(rng, body, pose, now):
    cycles = rng.uniform(1.6, 2.8)
    for k, limb in enumerate(body.limbs):
        reach = np.sin(TAU * (cycles * now.t + k / 2))
        pose.joint[:, limb[0]] += _upwards(body, limb[0]) * (0.25 + 0.55 * reach)
        pose.scale[:, limb] *= 1 + 0.2 * reach[:, None]
    pose.y -= rng.uniform(0.6, 0.95) * (now.p - 0.5)
    pose.x += 0.02 * np.sin(TAU * cycles * now.t)


def _jump(rng, body, pose, now):
    times = int(rng.integers(1, 3))
    q = now.t * times % 1
    air = np.where((q > 0.25) & (q < 0.85), 4 * (q - 0.25) * (0.85 - q) / 0.36, 0)
    crouch = _bump(q, 0.15, 0.1) + 0.7 * _bump(q, 0.95, 0.08)
    pose.y -= rng.uniform(0.35, 0.6) * air - 0.12 * crouch
    for limb in body.legs or range(len(body.limbs)):
        pose.scale[:, body.limbs[limb]] *= (1 - 0.35 * crouch)[:, None]
        pose.joint[:, body.limbs[limb][0]] += _upwards(body, body.limbs[limb][0]) * (0.35 * air)
    pose.scale[:, body.chain] *= (1 - 0.15 * crouch + 0.1 * air)[:, None]


def _wave(rng, body, pose, now):
    """One limb goes up and swings."""
    able = _waving(body)
    limb = body.limbs[int(rng.choice([k for k in able if k not in body.legs] or able))]
    cycles, swing = rng.uniform(2, 3.4), np.sin(TAU * (rng.uniform(2, 3.4) * now.t + rng.random()))
    lift = rng.uniform(0.3, 0.7) if len(limb) < 3 else 0.2
    up = -np.pi / 2 + rng.uniform(-0.5, 0.5)
    away = (up - body.bones[limb[0]].angle + np.pi) % TAU - np.pi
    pose.joint[:, limb[0]] += np.clip(away, -2, 2) * (lift + 0.3) + 0.45 * swing
    for k, bone in enumerate(limb[1:]):
        pose.joint[:, bone] += 0.6 * np.sin(TAU * (cycles * now.t - 0.12 * k))


def _kick(rng, body, pose, now):
    """One leg shoots forward, once or twice."""
    limb = body.limbs[int(rng.choice(body.legs))]
    times = rng.uniform(0.3, 0.7, 1) if rng.random() < 0.4 else np.array([0.27, 0.73]) + rng.uniform(-0.05, 0.05)
    hit = sum(_bump(now.t, c, 0.1) for c in times)
    back = sum(_bump(now.t, c - 0.17, 0.09) for c in times)
    sign = -1 if np.cos(body.bones[limb[0]].angle) > -0.3 else 1
    pose.joint[:, limb[0]] += sign * (rng.uniform(1.1, 1.6) * hit - 0.5 * back)
    for bone in limb[1:]:
        pose.joint[:, bone] += -sign * 0.7 * back
    pose.scale[:, limb] *= (1 + 0.25 * hit)[:, None]
    pose.turn += -sign * -0.12 * hit


def _flap(rng, body, pose, now):
    """All limbs on both sides go up together and down together."""
    cycles, reach = rng.uniform(2, 3.4), np.deg2rad(rng.uniform(28, 50))
    for limb in [body.limbs[k] for k in body.spread]:
        for k, bone in enumerate(limb[:3]):
            pose.joint[:, bone] += (
                _upwards(body, limb[0]) * reach * (0.5**k) * np.sin(TAU * (cycles * now.t - 0.14 * k))
            )
    pose.y += 0.03 * np.sin(TAU * cycles * now.t + 1)


def _undulate(rng, body, pose, now):
    """A wave runs along the body, or along every limb."""
    cycles, reach, length = rng.uniform(1.5, 3), np.deg2rad(rng.uniform(18, 32)), rng.uniform(4, 7)
    for limb in [body.chain] if len(body.chain) > 3 else body.limbs:
        for k, bone in enumerate(limb):
            pose.joint[:, bone] += reach * (0.6 + 0.15 * k) * np.sin(TAU * (cycles * now.t - k / length))


def _symmetry(body):
    return len(body.limbs) if body.name in ("star", "wheel", "windmill") else 1


def _spin(rng, body, pose, now):
    """Turns clockwise, slowly enough that every second frame still shows the direction."""
    pose.turn += min(rng.uniform(0.5, 1.3), 2.4 / _symmetry(body)) * TAU * now.p


def _roll(rng, body, pose, now):
    turns = rng.choice([-1, 1]) * min(rng.uniform(0.7, 1.2), 2.4 / _symmetry(body))
    pose.turn += turns * TAU * now.p
    for limb in body.limbs:
        pose.joint[:, limb[1:]] += 0.5
    pose.x += turns * rng.uniform(0.7, 1.1) * (now.p - 0.5)


def _bow(rng, body, pose, now):
    """Bends down and comes up, once."""
    down = _bump(now.t, rng.uniform(0.42, 0.58), rng.uniform(0.2, 0.3))
    for bone in body.bend:
        pose.joint[:, bone] += rng.uniform(0.9, 1.4) / len(body.bend) * down
    if not body.bend:
        pose.turn += rng.uniform(0.8, 1.2) * down


def _nod(rng, body, pose, now):
    cycles, reach = rng.uniform(2, 3.4), rng.uniform(0.7, 1.1)
    peck = reach * (0.5 - 0.5 * np.cos(TAU * cycles * now.t)) ** 1.5
    for bone in body.head:
        pose.joint[:, bone] += peck / len(body.head) ** 0.5


def _lie(rng, body, pose, now):
    """From upright to flat. A body that is not tall lowers itself on its legs instead."""
    corners = body.rest().reshape(-1, 2)
    height = np.ptp(corners[:, 1])
    down, side = _between(now.p, 0, 1), rng.choice([-1, 1])
    if body.tall:
        pose.turn += side * np.deg2rad(rng.uniform(75, 95)) * down
        pose.y += (height / 2 - 0.1 * height) * down
        pose.x += side * 0.3 * height * down
    else:
        fold = 1 - rng.uniform(0.75, 0.9) * down
        for limb in body.legs:
            pose.scale[:, body.limbs[limb]] *= fold[:, None]
        pose.y += rng.uniform(0.15, 0.25) * down
        pose.joint[:, body.head] += 0.5 * down[:, None]


def _open(rng, body, pose, now):
    """The limbs go from one bundle to a fan."""
    limbs = [body.limbs[k] for k in body.spread]
    angles = np.array([body.bones[limb[0]].angle for limb in limbs])
    mean = np.angle(np.exp(1j * angles).sum() + 1e-3)
    away = (angles - mean + np.pi) % TAU - np.pi
    order = np.argsort(np.argsort(away)) / (len(limbs) - 1) - 0.5
    fan = np.deg2rad(rng.uniform(110, 160) if len(limbs) < 4 else rng.uniform(170, 290))
    closed = rng.uniform(0.06, 0.2)
    for limb, place, start in zip(limbs, order, away):
        pose.joint[:, limb[0]] += place * fan * (closed + (1 - closed) * now.p) - start
        pose.joint[:, limb[1:]] -= (place * 0.5 * (1 - now.p))[:, None]


def _curl(rng, body, pose, now):
    """From straight to rolled up: every joint bends the same way."""
    turn, side = np.deg2rad(rng.uniform(250, 340)), rng.choice([-1, 1])
    chains = [body.chain] if len(body.chain) > 3 else body.limbs
    for chain in chains:
        rest = np.array([body.bones[bone].angle for bone in chain])
        straight = (rest[1:] - rest[:-1] + np.pi) % TAU - np.pi
        bend = min(turn / len(chain), 2.3)
        inwards = side if len(chains) == 1 else _upwards(body, chain[0]) * side
        pose.joint[:, chain[1:]] += inwards * bend * now.p[:, None] - straight * (1 - now.p[:, None])
        if len(chains) > 1:
            pose.joint[:, chain[0]] += inwards * 0.5 * now.p
        pose.scale[:, chain] *= (1.1 - 0.3 * now.p)[:, None]


def _grab(rng, body, pose, now):
    """The creature goes to a ball, closes its limbs on it and carries it off."""
    limbs = [body.limbs[k] for k in body.spread]
    points = body.rest()
    angles = np.array([body.bones[limb[0]].angle for limb in limbs])
    mean = np.angle(np.exp(1j * angles).sum() + 1e-3)
    away = (angles - mean + np.pi) % TAU - np.pi
    order = np.argsort(np.argsort(away)) / (len(limbs) - 1) - 0.5
    near, shut, gone = _between(now.p, 0, 0.35), _between(now.p, 0.35, 0.6), _between(now.p, 0.6, 1)
    for limb, place, start in zip(limbs, order, away):
        pose.joint[:, limb[0]] += place * (2.0 - 1.6 * shut) - start
        pose.joint[:, limb[1:2]] -= (np.sign(place) * 0.5 * shut)[:, None]
    length = max(sum(body.bones[bone].length for bone in limb) for limb in limbs)
    root = points[[limb[0] for limb in limbs], 0].mean(0) - pose.pivot
    at = root + 0.75 * length * np.array([np.cos(mean), np.sin(mean)])
    heading = np.array([np.cos(mean), np.sin(mean)])
    lift = rng.uniform(0.3, 0.5) * np.array([rng.uniform(-0.5, 0.5), -1])
    path = -rng.uniform(0.25, 0.4) * (1 - near)[:, None] * heading + gone[:, None] * lift
    pose.x += path[:, 0]
    pose.y += path[:, 1]
    pose.ball = at + gone[:, None] * lift


def _swing(rng, body, pose, now):
    """The body hangs from a point above it and swings to and fro."""
    corners = body.rest().reshape(-1, 2)
    top = corners[:, 1].min()
    hang = np.array([0.0, top - rng.uniform(0, 0.25)]) if body.name != "pendulum" else np.zeros(2)
    pose.x += hang[0] - pose.pivot[0]
    pose.y += hang[1] - pose.pivot[1]
    pose.pivot = hang
    swing = np.sin(TAU * (rng.uniform(1.2, 2.4) * now.t + rng.random()))
    pose.turn += np.deg2rad(rng.uniform(28, 55)) * swing
    for chain in [body.chain, *body.limbs]:
        pose.joint[:, chain[1:]] += 0.12 * swing[:, None]


def _shiver(rng, body, pose, now):
    size = np.deg2rad(rng.uniform(8, 16))
    pose.joint += size * rng.uniform(-1, 1, pose.joint.shape)
    pose.x += rng.uniform(0.015, 0.04) * rng.uniform(-1, 1, len(now.t))
    pose.y += rng.uniform(0.01, 0.03) * rng.uniform(-1, 1, len(now.t))


def _dance(rng, body, pose, now):
    cycles = rng.uniform(1.6, 2.6)
    for limb in body.limbs:
        phase = rng.random()
        for k, bone in enumerate(limb[:3]):
            pose.joint[:, bone] += rng.uniform(0.3, 0.6) * np.sin(TAU * (cycles * now.t + phase + 0.25 * k))
    pose.turn += rng.uniform(0.15, 0.3) * np.sin(TAU * cycles / 2 * now.t)
    pose.x += rng.uniform(0.05, 0.14) * np.sin(TAU * cycles / 2 * now.t)
    pose.y -= rng.uniform(0.02, 0.07) * np.abs(np.sin(TAU * cycles * now.t))


def _turn_around(rng, body, pose, now):
    pose.width *= np.cos(np.pi * now.p * int(rng.integers(1, 3)))


def _near(rng, body, pose, now):
    first, last = rng.uniform(0.3, 0.5), rng.uniform(1.2, 1.6)
    pose.zoom *= first * (last / first) ** now.p


def _still(rng, body, pose, now):
    pass


@dataclass(frozen=True)
class Action:
    """`one`, `many`: words for one creature, for several; `can`: whether a body can do it; `partner`: its time reversal."""

    name: str
    one: str
    many: str
    move: Callable
    can: Callable[[Body], bool]
    partner: str | None = None
    backwards: bool = False


def _pair(move, can, *sides: tuple[str, str, str]) -> list[Action]:
    (first, *ahead), (second, *back) = sides
    return [Action(first, *ahead, move, can, second), Action(second, *back, move, can, first, True)]


def _any(body):
    return True


def _has_legs(body):
    return bool(body.legs)


def _has_head(body):
    return bool(body.head)


def _stands(body):
    return body.tall or bool(body.legs)


def _spreads(body):
    return len(body.spread) > 1


def _waving(body) -> list[int]:
    """The limbs that are long enough to wave."""
    long = [sum(body.bones[bone].length for bone in limb) > 0.2 for limb in body.limbs]
    return [k for k, limb in enumerate(body.limbs) if long[k] and body.bones[limb[0]].part in ("limb", "wing")]


def _waves(body):
    return len(body.limbs) > 1 and bool(_waving(body))


def _wide(body):
    return np.ptp(body.rest()[..., 0]) > 0.25


def _has_limbs(body):
    return len(body.limbs) > 1


def _bends(body):
    return len(body.chain) > 3 or sum(len(limb) > 1 for limb in body.limbs) > 1


def _flaps(body):
    return body.name != "robot arm" and _spreads(body)


ACTIONS: dict[str, Action] = {
    action.name: action
    for action in [
        *_pair(_walk, _has_legs, ("walk right", "walks to the right", "walk to the right"),
               ("walk left", "walks to the left", "walk to the left")),
        *_pair(_climb, _has_limbs, ("climb up", "climbs up", "climb up"), ("climb down", "climbs down", "climb down")),
        *_pair(_lie, _stands, ("lie down", "lies down", "lie down"), ("rise up", "rises up", "rise up")),
        *_pair(_open, _spreads, ("open", "opens wide", "open wide"), ("close", "closes", "close")),
        *_pair(_curl, _bends, ("curl up", "curls up", "curl up"), ("stretch", "stretches out", "stretch out")),
        *_pair(_grab, _spreads, ("grab", "grabs a ball and carries it off", "grab a ball each"),
               ("let go", "brings a ball and lets it go", "let a ball go")),
        *_pair(_spin, _any, ("spin clockwise", "spins clockwise", "spin clockwise"),
               ("spin counter-clockwise", "spins counter-clockwise", "spin counter-clockwise")),
        *_pair(_near, _any, ("come near", "comes nearer", "come nearer"), ("go away", "goes farther away", "go farther away")),
        Action("crawl", "crawls along", "crawl along", _crawl, _any),
        Action("jump", "jumps", "jump", _jump, _any),
        Action("wave", "waves one limb", "wave one limb", _wave, _waves),
        Action("kick", "kicks with one leg", "kick with one leg", _kick, _has_legs),
        Action("flap", "flaps up and down", "flap up and down", _flap, _flaps),
        Action("undulate", "ripples in waves", "ripple in waves", _undulate, _bends),
        Action("roll", "rolls along", "roll along", _roll, _any),
        Action("bow", "bows", "bow", _bow, _any),
        Action("nod", "nods again and again", "nod again and again", _nod, _has_head),
        Action("swing", "swings to and fro", "swing to and fro", _swing, _any),
        Action("shiver", "shivers", "shiver", _shiver, _any),
        Action("dance", "dances", "dance", _dance, _has_limbs),
        Action("turn around", "turns around", "turn around", _turn_around, _wide),
        Action("stand still", "stays almost still", "stay almost still", _still, _any),
    ]
}  # fmt: skip
CLASSES = tuple(ACTIONS)
ORDER_PAIRS = tuple((a.name, a.partner) for a in ACTIONS.values() if a.partner and not a.backwards)


def moment(rng, frames: int) -> Moment:
    """Draws when an action takes place: most of the clip, linear or eased."""
    t = np.linspace(0, 1, frames)
    p = np.clip((t - rng.uniform(0, 0.2)) / rng.uniform(0.65, 0.8), 0, 1)
    return Moment(p * p * (3 - 2 * p) if rng.random() < 0.6 else p, t)


def perform(rng, body: Body, action: str, frames: int) -> Pose:
    """The pose in which `body` does the action (of a pair, always the first), with small movements of all parts."""
    pose = Pose.rest(body, frames)
    now = moment(rng, frames)
    ACTIONS[action].move(rng, body, pose, now)
    count = len(body.bones)
    rate, phase, size = (
        rng.uniform(0.3, 1.6, count),
        rng.random(count),
        np.deg2rad(rng.uniform(0, 5)) * rng.random(count),
    )
    pose.joint += size * np.sin(TAU * (now.t[:, None] * rate + phase))
    pose.x += rng.uniform(0, 0.02) * np.sin(TAU * (rng.uniform(0.4, 1) * now.t + rng.random()))
    pose.y += rng.uniform(0, 0.02) * np.sin(TAU * (rng.uniform(0.4, 1) * now.t + rng.random()))
    return pose
