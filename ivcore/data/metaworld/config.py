"""Meta-World: a robot arm does 50 things to doors, drawers, pegs and pucks. A second dataset beside the moving shapes.

The folder is <cache>/metaworld-<hash>:

    videos/<task>-<n>.mp4    an episode in which a scripted expert solves the task, with its own camera, light and paint
    episodes/<task>-<n>.json what the simulator records of it: goal, look, phases, boxes in every frame
    train.csv, val.csv, test.csv, classes.txt           Kinetics: the class is the task
    msrvtt.json, msrvtt_train.csv, …_val.csv, …_test.csv  MSR-VTT: five captions an episode
    msrvtt_reversed.json     the same episodes with the captions of the task that undoes theirs, if there is one
    order_val.jsonl, order_test.jsonl                   MSR-VTT multiple choice of two: the caption, and that of the task that undoes this one
    qa_{train,val,test}.jsonl, train_ans2label.json     MSRVTT-QA: what is moved, its colour, and which of two opposite things is done
    activitynet.json                                    ActivityNet: segments in which the robot reaches, grasps and moves
    ava_{train,val,test}.csv, ava_actions.pbtxt         AVA: boxes of gripper and things on a keyframe a second

The splits have different goals: things stand in different places. The pictures show simple shapes in a simulator, so results on them
say nothing about Something-Something or other real videos of hands. Needs the extra `sim` and a GL library: `make sim`.

Meta-World (Yu et al. 2019, arXiv 1910.10897; McLean et al. 2025, arXiv 2505.11289), MIT licence, on MuJoCo.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ivcore import paths
from ivcore.data import generated
from ivcore.data.metaworld.tasks import TASKS
from ivcore.errors import ParameterError

# The number of a goal decides its split: four of any six in a row are for training.
SPLITS = ("train", "train", "train", "train", "val", "test")
ATTEMPTS = 5  # goals tried before an episode is given up
_FAR = 6000  # numbers between the goals of an episode: a multiple of len(SPLITS), so that all have the same split
# As for the moving shapes: change it whenever pixels change, and only then.
RENDERER_VERSION = "b403d989363dbd088b091394a40bc2ceaad2aca4300832cf872591b68ef4735f"


@dataclass(frozen=True)
class MetaWorld:
    """`episodes` of each of `tasks` (default: all 50), each with `frames` frames, spread over the whole episode.

    size: width and height in pixels, even. Episodes last frames / fps seconds, however long the robot took. ParameterError if invalid.
    """

    episodes: int = 12
    size: int = 64
    frames: int = 32
    fps: int = 8
    seed: int = 0
    tasks: tuple[str, ...] = tuple(TASKS)

    def __post_init__(self):
        object.__setattr__(self, "tasks", tuple(self.tasks))
        generated.require_names("tasks", self.tasks, tuple(TASKS))
        if not self.tasks:
            raise ParameterError("tasks: must be one or more")
        generated.require_whole(self, {"episodes": 1, "size": 16, "frames": 2, "fps": 1, "seed": 0})

    @property
    def folder(self) -> Path:
        return paths.cache() / f"metaworld-{self.hash}"

    @property
    def kin(self) -> str:
        """A hash of what decides a single episode, with the renderer's version. Sets of one kin have the same episodes, more or fewer."""
        bodies = {name: task.bodies for name, task in TASKS.items()}
        text = json.dumps([self.size, self.frames, self.fps, self.seed, bodies, SPLITS, ATTEMPTS])
        return hashlib.sha256((text + RENDERER_VERSION).encode()).hexdigest()[:8]

    @property
    def hash(self) -> str:
        text = json.dumps([self.kin, self.episodes, self.tasks])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


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
    """The smallest set with at least `clips` training clips, in whole rounds of `SPLITS`: val and test each are a quarter as large.

    fields: other fields of MetaWorld. With all 50 tasks, 400 clips give 12 episodes a task, the default.
    """
    a_round = SPLITS.count("train") * len(MetaWorld(**fields).tasks)
    return MetaWorld(**fields, episodes=len(SPLITS) * max(1, math.ceil(clips / a_round)))


def episodes(config: MetaWorld) -> list[Episode]:
    """All episodes, task by task."""
    return [Episode(task, number) for task in config.tasks for number in range(config.episodes)]


def records(config: MetaWorld, folder: Path) -> Iterator[tuple[Episode, dict]]:
    """(episode, record) of every episode that the expert solved, in order."""
    for episode in episodes(config):
        record = json.loads((folder / episode.record).read_text())
        if record["solved"]:
            yield episode, record


def summary(config: MetaWorld, folder: Path) -> dict:
    """dict(clips, dropped, attempts, success_rate, megabytes): success rate of the expert over all goals tried."""
    every = [json.loads((folder / episode.record).read_text()) for episode in episodes(config)]
    clips, attempts = sum(record["solved"] for record in every), sum(record["attempts"] for record in every)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "clips": clips,
        "dropped": len(every) - clips,
        "attempts": attempts,
        "success_rate": round(clips / attempts, 4),
        "megabytes": round(size / 2**20, 1),
    }
