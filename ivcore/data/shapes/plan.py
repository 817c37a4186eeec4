"""Plans which scenes each video of the moving shapes shows. All is drawn from seeds; no file is read."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ivcore.data.shapes import scenes
from ivcore.data.shapes.config import SPLITS, Shapes

_FURTHER = 10**7  # scenes from this number on are for clips of two actions
_TOO_ROUND = ("circle", "ring")  # turning shows on these only if they have a texture


@dataclass(frozen=True)
class Shot:
    """The arguments of one scene; the action takes place in frames [start, stop) of its `frames`."""

    seed: tuple[int, ...]
    action: str
    frames: int
    start: int
    stop: int
    shape: str
    texture: str | None = None

    def scene(self, config: Shapes) -> scenes.Scene:
        nuisances = {field: getattr(config, field) for field in ("contrast", "drift", "waves")}
        return scenes.make_scene(
            self.seed,
            self.action,
            frames=self.frames,
            start=self.start,
            stop=self.stop,
            shape=self.shape,
            texture=self.texture,
            shapes=allowed_shapes(self.action),
            **{field: value for field, value in nuisances.items() if value is not None},
        )


@dataclass(frozen=True)
class Video:
    """One file: a trimmed clip has one shot, an untrimmed video several."""

    file: str
    split: str
    shots: tuple[Shot, ...]

    @property
    def id(self) -> str:
        return Path(self.file).stem

    @property
    def action(self) -> str:
        return self.shots[0].action


def forward(action: str) -> str:
    """The first action of the pair of `action` and its time reversal."""
    kind = scenes.ACTIONS[action]
    return kind.partner if kind.backwards else action


@cache
def held_out_shape(action: str) -> str:
    """The shape that only zero-shot clips show in this action, the same for both directions of a pair.

    If only one direction held it out, the shape would tell the directions apart. In actions of two things, no other clip has this
    shape for either of them; a zero-shot clip has it for the first.
    """
    pairs = list(dict.fromkeys(forward(name) for name in scenes.ACTIONS))
    return scenes.SHAPES[pairs.index(forward(action)) % len(scenes.SHAPES)]


@cache
def allowed_shapes(action: str) -> tuple[str, ...]:
    """The shapes that may take part in this action in every split."""
    return tuple(shape for shape in scenes.SHAPES if shape != held_out_shape(action))


def clips(config: Shapes, split: str | None = None) -> list[Video]:
    """The trimmed clips of train, val and test (video0, video1, …), or those of one split."""
    places = [(name, n) for name in ("train", "val", "test") for n in range(getattr(config, name))]
    videos = [_clip(config, f"video{i}", name, n, config.actions) for i, (name, n) in enumerate(places)]
    return [video for video in videos if split in (None, video.split)]


def further_clips(config: Shapes) -> list[Video]:
    """Further test clips, for a study that has used val and test for its choices."""
    number = config.further_test
    return [_clip(config, f"further{n}", "further_test", n, config.actions) for n in range(number)]


def groups(config: Shapes) -> list[tuple[Video, int]]:
    """The trimmed clips of all splits, each with the number of its scene."""
    videos = [*clips(config), *further_clips(config)]
    scene = {seed: n for n, seed in enumerate(dict.fromkeys(video.shots[0].seed for video in videos))}
    return [(video, scene[video.shots[0].seed]) for video in videos]


def held_out_clips(config: Shapes) -> list[Video]:
    return [_clip(config, f"heldout{n}", "zero_shot", n, config.actions) for n in range(config.zero_shot)]


def unknown_clips(config: Shapes) -> list[Video]:
    number = config.unknown if config.unknown_actions else 0
    return [_clip(config, f"unknown{n}", "unknown", n, config.unknown_actions) for n in range(number)]


def _clip(config: Shapes, name: str, split: str, n: int, actions: tuple[str, ...]) -> Video:
    turn, which = divmod(n, len(actions))
    action = actions[which]
    own = turn * len(scenes.ACTIONS) + list(scenes.ACTIONS).index(action if split == "train" else forward(action))
    shot = _shot(config, split, own, action, config.frames, 0, config.frames)
    return Video(f"videos/{name}.mp4", split, (shot,))


def _shot(config: Shapes, split: str, n: int, action: str, frames: int, start: int, stop: int) -> Shot:
    seed = (config.seed, SPLITS.index(split), n)
    rng = np.random.default_rng((*seed, 1))
    shape = held_out_shape(action) if split == "zero_shot" else str(rng.choice(allowed_shapes(action)))
    texture = str(rng.choice([t for t in scenes.TEXTURES if t != "plain"]))
    unseen_turning = forward(action) == forward("turn clockwise") and shape in _TOO_ROUND
    return Shot(seed, action, frames, start, stop, shape, texture if unseen_turning else None)


def two_action_clips(config: Shapes) -> list[Video]:
    """Clips in which one thing acts, and then another does something else: half as many as the trimmed clips of each split, with their own scenes."""
    alone = [name for name in config.actions if len(scenes.make_scene(0, name).objects) == 1]
    alone = alone if len(alone) > 1 else ["slide left", "slide right"]
    places = [(split, n) for split in ("train", "val", "test") for n in range(getattr(config, split) // 2)]
    return [_two_actions(config, f"two{i}", split, n, alone) for i, (split, n) in enumerate(places)]


def _two_actions(config: Shapes, name: str, split: str, n: int, actions: list[str]) -> Video:
    rng, half = np.random.default_rng((config.seed, SPLITS.index(split), n, 6)), config.frames // 2
    shots: list[Shot] = []
    order = rng.permutation(actions).tolist()
    for turn, action in ((turn, action) for turn in range(1, 100) for action in order):
        if shots and action == shots[0].action:
            continue
        shot = _shot(config, split, turn * _FURTHER + 2 * n + len(shots), action, half, 0, half)
        if not shots or _colour(config, shot) != _colour(config, shots[0]):
            shots.append(shot)
        if len(shots) == 2:
            break
    return Video(f"videos/{name}.mp4", split, tuple(shots))


def _colour(config: Shapes, shot: Shot) -> str:
    return shot.scene(config).objects[0].colour


def untrimmed_videos(config: Shapes) -> list[Video]:
    """Videos of 4 to 7 shots, two thirds of them in the subset training, the others in validation."""
    return [_untrimmed(config, n) for n in range(config.untrimmed)]


def _untrimmed(config: Shapes, n: int) -> Video:
    rng = np.random.default_rng((config.seed, SPLITS.index("untrimmed"), n, 2))
    subset = "validation" if n % 3 == 2 else "training"
    shots = tuple(_timed_shot(config, rng, 100 * n + i) for i in range(rng.integers(4, 8)))
    return Video(f"untrimmed/video_{subset}_{n:07d}.mp4", subset, shots)


def _timed_shot(config: Shapes, rng, n: int) -> Shot:
    """An action of 0.75 to 1.5 clip lengths with a rest of up to a clip length before and after it; one shot in six only rests."""
    before, after = rng.integers(1, config.frames, 2)
    length = int(rng.integers(round(0.75 * config.frames), round(1.5 * config.frames) + 1))
    action = "rest" if rng.random() < 1 / 6 else str(rng.choice(config.actions))
    return _shot(config, "untrimmed", n, action, int(before + length + after), int(before), int(before + length))


_VIDEOS = {"further_test": (further_clips,), "zero_shot": (held_out_clips,), "open_set": (clips, unknown_clips)}
_VIDEOS |= dict.fromkeys(("clips", "captions", "choice"), (clips,)) | {"qa": (clips, two_action_clips)}
_VIDEOS |= dict.fromkeys(("untrimmed", "ava"), (untrimmed_videos,))


def videos(config: Shapes) -> list[Video]:
    """Every video that the parts of `config` need, in the order in which they are made."""
    plans = dict.fromkeys(plan for part in config.parts for plan in _VIDEOS[part])
    return [video for plan in plans for video in plan(config)]
