"""The embedded dataset: moving shapes, rendered once per configuration to H.264 .mp4 files and real annotation formats.

`build(Shapes(...))` returns a folder <cache>/shapes-<name>-<hash>; what is there already is not made again. Parts:

    clips      videos/video<N>.mp4 with train.csv, val.csv, test.csv, classes.txt (Kinetics) and ssv2-*.json (Something-Something)
    further_test  videos/further<N>.mp4, test clips beyond those of `clips`: further_test.csv (Kinetics)
    zero_shot  videos/heldout<N>.mp4 of (shape, action) pairs that no other part shows: zero_shot.csv, zero_shot_classes.txt
    open_set   known_{train,val,test}.txt of the clips above; videos/unknown<N>.mp4 of further actions in unknown_test.txt (UCF101 lists)
    captions   msrvtt.json, msrvtt_train.csv, msrvtt_val.csv, msrvtt_test.csv (MSR-VTT)
    qa         qa_{train,val,test}.jsonl, train_ans2label.json (MSRVTT-QA)
    choice     choice_{val,test}.jsonl, five options, the reversed action among them (MSR-VTT multiple choice)
    untrimmed  untrimmed/<id>.mp4 of several shots with rests between the actions: activitynet.json (ActivityNet)
    ava        ava_{train,val}.csv, a keyframe a second, ava_{train,val}_excluded_timestamps.csv, ava_actions.pbtxt (AVA)

Appearance gives nothing away between an action and its time reversal. In held-out clips both are made from the same scene, so
whatever ignores the order of the frames scores exactly one half on such a pair. In train every clip has a scene of its own. Which clips
share a scene says groups.csv (see `data.groups`), beside the lists of clips and of further test clips.
"""

import dataclasses
import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ivcore import paths
from ivcore.data import generated
from ivcore.data.shapes import scenes
from ivcore.errors import ParameterError

PARTS = ("clips", "further_test", "zero_shot", "open_set", "captions", "qa", "choice", "untrimmed", "ava")
SPLITS = (
    "train",
    "val",
    "test",
    "zero_shot",
    "unknown",
    "untrimmed",
    "further_test",
)  # seeds count on the order
UNKNOWN_ACTIONS = ("push", "pull", "jump")
KNOWN_ACTIONS = tuple(a for a in scenes.ACTIONS if a not in (*UNKNOWN_ACTIONS, "rest"))
_TOO_ROUND = ("circle", "ring")  # shapes that show no turning unless they are textured


@dataclass(frozen=True)
class Shapes:
    """What is to be rendered. `train` … `further_test` count videos; multiples of the number of actions keep classes balanced.

    size: width and height in pixels, even. contrast, drift, waves: the background's, see `scenes.make_scene`, whose defaults None
    stands for. All fields but `parts` name the folder, so that parts asked for later join the same folder.
    """

    name: str = "tiny"
    seed: int = 0
    train: int = 1920
    val: int = 240
    test: int = 480
    zero_shot: int = 240
    unknown: int = 240
    untrimmed: int = 60
    further_test: int = 960
    size: int = 64
    frames: int = 16
    fps: int = 8
    actions: tuple[str, ...] = KNOWN_ACTIONS
    unknown_actions: tuple[str, ...] = UNKNOWN_ACTIONS
    contrast: float | None = None
    drift: float | None = None
    waves: int | None = None
    parts: tuple[str, ...] = ("clips",)

    def __post_init__(self):
        for field in ("actions", "unknown_actions", "parts"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ParameterError(f"name={self.name!r}: must be letters, digits, '.', '_' or '-'")
        _require_listed("actions", self.actions, tuple(scenes.ACTIONS))
        _require_listed("unknown_actions", self.unknown_actions, tuple(scenes.ACTIONS))
        _require_listed("parts", self.parts, PARTS)
        if not self.actions or set(self.actions) & set(self.unknown_actions):
            raise ParameterError("actions: must be one or more, and none of them in unknown_actions")
        least = {"seed": 0, "size": 16, "frames": 2, "fps": 1} | dict.fromkeys(SPLITS, 0)
        generated.require_whole(self, least)

    @property
    def folder(self) -> Path:
        return paths.cache() / f"shapes-{self.name}-{self.hash}"

    @property
    def hash(self) -> str:
        """Of the fields and of the code that renders them, so that a changed renderer never meets old videos."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if k != "parts"}
        told = json.dumps(fields, sort_keys=True) + RENDERER_VERSION
        return hashlib.sha256(told.encode()).hexdigest()[:8]


def _require_listed(field: str, values: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    for value in values:
        if value not in allowed:
            raise ParameterError(f"{field}: {value!r} must be one of {', '.join(allowed)}")
    if len(set(values)) < len(values):
        raise ParameterError(f"{field}: every name only once")


# Of the code that renders, and of the code that annotates. Any other text makes new files: change it whenever pixels, or annotations, change
# (tests/data/test_golden_pixels.py), and only then, so that nobody renders for a renaming.
RENDERER_VERSION = "978f79555ea0677e697c19a4b29086020a7d6bdf2a59aabb10c971ab99a7143a"
ANNOTATOR_VERSION = "e961c2b16cfb0964cc28ad72c60f709275385883c6ce532996554dc46fe70f3a"


# ------------------------------------------------------------------------------------------------- what is in which video


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
            shapes=seen_shapes(self.action),
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
    """The one of an action and its time reversal that stands for the pair."""
    kind = scenes.ACTIONS[action]
    return kind.partner if kind.backwards else action


@cache
def held_out_shape(action: str) -> str:
    """The shape that only zero-shot clips show in this action, the same one for both directions of a pair.

    Holding out one direction alone would let the shape tell the directions apart. Where two things take part, no other clip has it as
    either of them; a zero-shot clip has it as the first.
    """
    pairs = list(dict.fromkeys(forward(name) for name in scenes.ACTIONS))
    return scenes.SHAPES[pairs.index(forward(action)) % len(scenes.SHAPES)]


@cache
def seen_shapes(action: str) -> tuple[str, ...]:
    """The shapes that may take part in this action in every split."""
    return tuple(shape for shape in scenes.SHAPES if shape != held_out_shape(action))


def clips(config: Shapes) -> list[Video]:
    """The trimmed clips of train, val and test, video0, video1, …"""
    wanted = [(split, n) for split in ("train", "val", "test") for n in range(getattr(config, split))]
    return [_clip(config, f"video{i}", split, n, config.actions) for i, (split, n) in enumerate(wanted)]


def further_clips(config: Shapes) -> list[Video]:
    """Further test clips, for a study that has used up val and test on its choices."""
    number = config.further_test
    return [_clip(config, f"further{n}", "further_test", n, config.actions) for n in range(number)]


def groups(config: Shapes) -> list[tuple[Video, int]]:
    """The trimmed clips of all splits, and of each the number of the scene that it is made from."""
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
    own = turn * len(scenes.ACTIONS) + list(scenes.ACTIONS).index(
        action if split == "train" else forward(action)
    )
    shot = _shot(config, split, own, action, config.frames, 0, config.frames)
    return Video(f"videos/{name}.mp4", split, (shot,))


def _shot(config: Shapes, split: str, n: int, action: str, frames: int, start: int, stop: int) -> Shot:
    seed = (config.seed, SPLITS.index(split), n)
    rng = np.random.default_rng((*seed, 1))
    shape = held_out_shape(action) if split == "zero_shot" else str(rng.choice(seen_shapes(action)))
    texture = str(rng.choice([t for t in scenes.TEXTURES if t != "plain"]))
    unseen_turning = forward(action) == forward("turn clockwise") and shape in _TOO_ROUND
    return Shot(seed, action, frames, start, stop, shape, texture if unseen_turning else None)


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
    return _shot(
        config, "untrimmed", n, action, int(before + length + after), int(before), int(before + length)
    )


# ------------------------------------------------------------------------------------------------------------- building

_VIDEOS = {
    "further_test": (further_clips,),
    "zero_shot": (held_out_clips,),
    "open_set": (clips, unknown_clips),
}
_VIDEOS |= dict.fromkeys(("clips", "captions", "qa", "choice"), (clips,))
_VIDEOS |= dict.fromkeys(("untrimmed", "ava"), (untrimmed_videos,))


def videos(config: Shapes) -> list[Video]:
    """Every video that the parts of `config` need, in the order in which they are made."""
    plans = dict.fromkeys(plan for part in config.parts for plan in _VIDEOS[part])
    return [video for plan in plans for video in plan(config)]


def build(config: Shapes | None = None, *, workers: int | None = None) -> Path:
    """The dataset's folder, after making whatever parts of it are missing.

    Made by `workers` processes (default: one for each core), which can be killed at any time: files appear whole or not at all,
    the next call goes on with the missing ones, and a part's mark `<part>.complete` is written last. Several processes may ask
    for the same folder at once: one makes it and the others wait.
    """
    from ivcore.data.shapes import annotations
    from ivcore.data.shapes import workers as shape_workers

    config = config or Shapes()
    folder = config.folder
    if _missing(folder, config):
        folder.mkdir(parents=True, exist_ok=True)
        with generated.lock(folder):
            config = dataclasses.replace(config, parts=_missing(folder, config))
            shape_workers.render(config, folder, workers)
            for part in config.parts:
                annotations.write(part, config, folder)
                (folder / f"{part}.complete").write_text(ANNOTATOR_VERSION)
    return folder


def _missing(folder: Path, config: Shapes) -> tuple[str, ...]:
    """Parts without a mark, or whose annotations were written by other code than there is now."""
    return tuple(part for part in config.parts if not _is_complete(folder / f"{part}.complete"))


def _is_complete(mark: Path) -> bool:
    return mark.exists() and mark.read_text() == ANNOTATOR_VERSION


def render_file(config: Shapes, video: Video, folder: Path) -> None:
    """Renders and writes one video, unless its file is there."""
    from ivcore.video.writer import write_video

    target = folder / video.file
    if not os.path.exists(target):
        frames = [scenes.render(shot.scene(config), config.size) for shot in video.shots]
        write_video(target, np.concatenate(frames), config.fps)
