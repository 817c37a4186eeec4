"""First-person scenes on a table, with annotation files of Ego4D's five tracks: <cache>/egocentric-<hash>. A video takes about a second.

    annotations/  moments_{train,val}.json nlq_{train,val}.json fho_sta_{train,val}.json object_detections.json fho_hands_{train,val}.json scod_{train,val}.json
    clips/        CLIP_UID.mp4

Colours, ground, things, hands and head movements are drawn for each clip. The six verbs form three pairs of reversals.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ivcore import paths
from ivcore.cores import cores
from ivcore.data import generated
from ivcore.data.egocentric import annotations, painting, scenes
from ivcore.video.writer import write_video

RENDERER_VERSION = "3"
PARTS = ("train", "val")
_MINIMUMS = {"train": 1, "val": 1, "size": 32, "frames": 64, "fps": 4, "seed": 0}


@dataclass(frozen=True)
class Egocentric:
    """Numbers of clips, of `size` x `size` pixels and `frames` frames at `fps`. ParameterError for numbers out of range."""

    train: int = 80
    val: int = 32
    size: int = 64
    frames: int = 320
    fps: int = 8
    seed: int = 0

    def __post_init__(self):
        generated.require_whole(self, _MINIMUMS)

    @classmethod
    def of(cls, clips: int) -> "Egocentric":
        """A config with `clips` clips, 2/7 of them for the test (`val`)."""
        val = max(1, 2 * clips // 7)
        return cls(train=clips - val, val=val)

    @property
    def folder(self) -> Path:
        text = json.dumps(asdict(self), sort_keys=True) + RENDERER_VERSION
        return paths.cache() / f"egocentric-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def clips(self) -> list[tuple[str, str]]:
        """(part, uid) of each clip."""
        return [(part, f"{part}-{number:04d}") for part in PARTS for number in range(getattr(self, part))]

    def scene(self, part: str, uid: str) -> scenes.Scene:
        rng = np.random.default_rng([self.seed, PARTS.index(part), int(uid.rpartition("-")[2])])
        return scenes.draw(rng, self.frames, self.fps)


def build(config: Egocentric | None = None, *, workers: int | None = None) -> Path:
    """Makes what is missing and returns the set's folder. A file appears whole or not at all; `complete` is written last."""
    config = config or Egocentric()
    return generated.build_once(config.folder, annotations.VERSION, lambda: fill(config, config.folder, workers))


def fill(config: Egocentric, folder: Path, workers: int | None = None) -> None:
    """Writes the missing videos and all annotations into `folder`."""
    files = [f"clips/{uid}.mp4" for _, uid in config.clips()]
    if todo := generated.missing(folder, files):
        workers = min(workers or cores(), -(-len(todo) // 4))
        generated.make_in_processes(
            "ivcore.data.egocentric", config, folder, todo, workers, len(files), "egocentric clip"
        )
    annotations.write(config, folder)


def make(fields: dict, folder: Path, todo: list[int]) -> Iterator[None]:
    """Renders the clips with these numbers one by one, in a worker process, see `generated`."""
    config = Egocentric(**fields)
    clips = config.clips()
    for number in todo:
        part, uid = clips[number]
        (folder / "clips").mkdir(exist_ok=True)
        write_video(folder / f"clips/{uid}.mp4", painting.render(config.scene(part, uid), config.size), config.fps)
        yield
