"""Meta-World: a robot arm does 50 things to doors, drawers, pegs and pucks; a second source beside the embedded moving shapes.

`build(MetaWorld(...))` returns a folder <cache>/metaworld-<hash>, made once; what is there already is not made again:

    videos/<task>-<n>.mp4    an episode of a scripted expert that solves the task, with a camera, a light and a paint of its own
    episodes/<task>-<n>.json what the simulator knows about it: goal, look, phases, boxes in every frame
    train.csv, val.csv, test.csv, classes.txt           Kinetics: the class is the task
    msrvtt.json, msrvtt_train.csv, …_val.csv, …_test.csv  MSR-VTT: five captions an episode
    msrvtt_reversed.json     the same episodes in the words of the task that undoes theirs, where there is one
    order_val.jsonl, order_test.jsonl                   MSR-VTT multiple choice of two: the caption, and that of the task that undoes this one
    activitynet.json                                    ActivityNet: segments in which the robot reaches, grasps and moves
    ava_{train,val,test}.csv, ava_actions.pbtxt         AVA: boxes of gripper and things on a keyframe a second

The splits have different goals, that is, different places of things. The pictures show simple shapes in a simulator: results on them
say nothing about Something-Something or other real videos of hands. Needs the extra `sim` and a GL library: `make sim`.

Meta-World (Yu et al. 2019, arXiv 1910.10897; McLean et al. 2025, arXiv 2505.11289), MIT licence, on MuJoCo.
"""

import contextlib
import ctypes.util
import hashlib
import importlib.util
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from ivcore import paths
from ivcore.data import generated
from ivcore.data.metaworld.tasks import TASKS
from ivcore.errors import ParameterError, UserError

# The split of a goal is that of its number: two thirds of any six in a row are for training.
SPLITS = ("train", "train", "train", "train", "val", "test")
ATTEMPTS = 5  # goals tried for an episode before it is given up
_FAR = 6000  # a further goal of an episode: as many goals on, a multiple of len(SPLITS), so that it is of the same split
# As those of the moving shapes: change one whenever pixels, or annotations, change, and only then.
RENDERER_VERSION = "b403d989363dbd088b091394a40bc2ceaad2aca4300832cf872591b68ef4735f"
ANNOTATOR_VERSION = "f8071e8478735760996fa16a115325c391da6d39ca97a46e065bc9a264b25f6b"


@dataclass(frozen=True)
class MetaWorld:
    """What is to be rendered: `episodes` of each of `tasks` (all 50 by default), `frames` each, spread over the whole episode.

    size: width and height in pixels, even. Episodes last frames / fps seconds, however long the robot took.
    """

    episodes: int = 12
    size: int = 64
    frames: int = 32
    fps: int = 8
    seed: int = 0
    tasks: tuple[str, ...] = tuple(TASKS)

    def __post_init__(self):
        object.__setattr__(self, "tasks", tuple(self.tasks))
        for name in self.tasks:
            if name not in TASKS:
                raise ParameterError(f"tasks: {name!r} must be one of {', '.join(TASKS)}")
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise ParameterError("tasks: must be one or more, every name only once")
        generated.require_whole(self, {"episodes": 1, "size": 16, "frames": 2, "fps": 1, "seed": 0})

    @property
    def folder(self) -> Path:
        return paths.cache() / f"metaworld-{self.hash}"

    @property
    def kin(self) -> str:
        """Of all that decides a single episode, the code that renders it included: sets of one kin have the same episodes, more or fewer."""
        bodies = {name: task.bodies for name, task in TASKS.items()}
        told = json.dumps([self.size, self.frames, self.fps, self.seed, bodies, SPLITS, ATTEMPTS])
        return hashlib.sha256((told + RENDERER_VERSION).encode()).hexdigest()[:8]

    @property
    def hash(self) -> str:
        told = json.dumps([self.kin, self.episodes, self.tasks])
        return hashlib.sha256(told.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Episode:
    """The `number`-th episode of a task; its goals are tried in turn until the expert solves one."""

    task: str
    number: int

    @property
    def id(self) -> str:
        return f"{self.task}-{self.number:03d}"

    @property
    def split(self) -> str:
        return SPLITS[self.number % len(SPLITS)]

    @property
    def goals(self) -> tuple[int, ...]:
        return tuple(self.number + _FAR * attempt for attempt in range(ATTEMPTS))

    @property
    def video(self) -> str:
        return f"videos/{self.id}.mp4"

    @property
    def record(self) -> str:
        return f"episodes/{self.id}.json"


def with_training(clips: int, **fields) -> MetaWorld:
    """The smallest set with at least so many training clips, in whole rounds of `SPLITS`: val and test are a quarter as large each.

    fields: the others of MetaWorld. Of all 50 tasks 400 clips are the default's 12 episodes a task.
    """
    a_round = SPLITS.count("train") * len(MetaWorld(**fields).tasks)
    return MetaWorld(**fields, episodes=len(SPLITS) * max(1, math.ceil(clips / a_round)))


def episodes(config: MetaWorld) -> list[Episode]:
    """All of them, task by task."""
    return [Episode(task, number) for task in config.tasks for number in range(config.episodes)]


def build(config: MetaWorld | None = None, *, workers: int | None = None, folder=None) -> Path:
    """The dataset's folder, after making what is missing; `folder` puts it elsewhere than into the cache.

    Made by `workers` processes (default: one for each core), which can be killed at any time: files appear whole or not at all and
    the next call goes on with the missing ones. Several processes may ask for the same folder at once: one makes it, the others wait.
    Raises UserError where the simulator is not installed, or where `folder` holds a set made otherwise.
    """
    from ivcore.data.metaworld import annotations
    from ivcore.data.metaworld import workers as metaworld_workers

    config = config or MetaWorld()
    folder = paths.resolve(folder) if folder else config.folder
    if not _is_complete(folder, config):
        folder.mkdir(parents=True, exist_ok=True)
        with generated.lock(folder):
            _claim(folder, config)
            _share(folder, config)
            metaworld_workers.render(config, folder, workers)
            annotations.write(config, folder)
            (folder / "complete").write_text(_mark(config))
    return folder


@cache
def _mark(config: MetaWorld) -> str:
    return f"{config.hash} {ANNOTATOR_VERSION}"


def _is_complete(folder: Path, config: MetaWorld) -> bool:
    mark = folder / "complete"
    return mark.exists() and mark.read_text() == _mark(config)


def _claim(folder: Path, config: MetaWorld) -> None:
    """Refuses a folder that holds anything but (a part of) this very set."""
    owner = folder / "config.json"
    if owner.exists() and json.loads(owner.read_text()).get("hash") != config.hash:
        raise UserError(f"{paths.short(folder)}: holds a set with other settings; name another folder")
    from ivcore.data.formats.text import write_text

    write_text(owner, json.dumps({"hash": config.hash, "kin": config.kin, **asdict(config)}, indent=1) + "\n")


def _share(folder: Path, config: MetaWorld) -> None:
    """Takes over what larger, smaller or unfinished sets of the same kin beside this one already have, as hard links."""
    for owner in folder.parent.glob("*/config.json"):
        if owner.parent != folder and json.loads(owner.read_text()).get("kin") == config.kin:
            for episode in episodes(config):
                if (owner.parent / episode.record).exists() and not (folder / episode.record).exists():
                    _link(owner.parent, folder, episode)


def _link(source: Path, folder: Path, episode: Episode) -> None:
    with contextlib.suppress(OSError):  # file systems without links: it is rendered again
        for file in (episode.video, episode.record):  # the record last: it says that the episode is there
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).unlink(missing_ok=True)
            if (source / file).exists():
                os.link(source / file, folder / file)


def records(config: MetaWorld, folder: Path) -> Iterator[tuple[Episode, dict]]:
    """What is known of every episode that was solved, in order."""
    for episode in episodes(config):
        record = json.loads((folder / episode.record).read_text())
        if record["solved"]:
            yield episode, record


def summary(config: MetaWorld, folder: Path) -> dict:
    """dict(clips, dropped, attempts, success_rate, megabytes): success rate of the expert over all goals tried."""
    known = [json.loads((folder / episode.record).read_text()) for episode in episodes(config)]
    clips, attempts = sum(each["solved"] for each in known), sum(each["attempts"] for each in known)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "clips": clips,
        "dropped": len(known) - clips,
        "attempts": attempts,
        "success_rate": round(clips / attempts, 4),
        "megabytes": round(size / 2**20, 1),
    }


def require_simulator() -> None:
    """UserError that says what to install, unless Meta-World is here with a GL library that draws without a screen."""
    if importlib.util.find_spec("metaworld") is None:
        raise UserError(
            "Meta-World is not installed: `make sim`, or `pip install 'ivcore[sim]'` (and Debian's libosmesa6)"
        )
    wanted = os.environ.setdefault("MUJOCO_GL", "osmesa")
    if wanted == "osmesa" and not ctypes.util.find_library("OSMesa"):
        raise UserError(
            "libOSMesa is not here: `make sim`, or `apt-get install libosmesa6`; with a GPU MUJOCO_GL=egl does too"
        )
