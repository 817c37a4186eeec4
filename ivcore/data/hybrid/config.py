"""The hybrid set: clips of several unlike sources, after the paper's UnlabeledHybrid (table 1), in miniature.

The paper pretrains on videos from the web, of instructions, of actions, of hands and of films together. Here the sources are

    shapes      moving shapes: one or two things on a smooth ground; the order of frames tells what happens
    creatures   drawn, thin, articulated things that move in parts, on textured grounds, before a camera that may move
    camera      windows of the real films that installed packages carry
    metaworld   a robot arm at 50 tasks; needs a simulator
    figures     people of simple shapes who move by motion capture; needs the recordings that pybullet carries
    walks       what somebody sees who walks through the rooms and yards of MiniWorld; needs a simulator

Each source is a set of its own in the cache. The hybrid's folder is <cache>/hybrid-<hash of its sources' folders>:

    videos/<source>-<name>.mp4   links to the sources' videos, no copies
    train.csv, val.csv, test.csv, classes.txt, groups.csv, msrvtt*       as of a source, see `data.annotations`, in mixed order
    sources.csv                  which video is of which source
    label_sets/<source>/         each source as a set, and motion_classes.txt, for post-pretraining
"""

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ivcore import paths
from ivcore.data import generated, rendered
from ivcore.data.metaworld import with_training
from ivcore.data.set_names import METAWORLD, OF_HYBRID, RENDERED
from ivcore.data.shapes import Shapes
from ivcore.errors import ParameterError, UserError

VERSION = "2"  # of the joined lists: another text writes them again
_CLIPS = {"shapes": 2100, METAWORLD: 800}  # training clips of sources whose own default is another


@dataclass(frozen=True)
class Hybrid:
    """What is joined. sources: () for all that can be had here. clips: source -> training clips, where not as many as by default.

    Held out for choices and for tests are a tenth as many each (of Meta-World a quarter). size: width and height in pixels, even.
    """

    sources: tuple[str, ...] = ()
    clips: Mapping[str, int] = field(default_factory=dict)
    size: int = 80
    frames: int = 16
    fps: int = 8
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "sources", tuple(self.sources))
        generated.require_names("sources", self.sources, OF_HYBRID)
        generated.require_names("clips", tuple(self.clips), self.sources or OF_HYBRID)
        for name, number in self.clips.items():
            if number < 1:
                raise ParameterError(f"clips: {name}={number}, must be at least 1")
        generated.require_whole(self, {"size": 16, "frames": 2, "fps": 1, "seed": 0})


@dataclass(frozen=True)
class Part:
    """A source with its config, as the hybrid has it."""

    name: str
    module: ModuleType
    config: Any

    @property
    def folder(self) -> Path:
        return self.config.folder if hasattr(self.config, "folder") else rendered.folder_of(self.module, self.config)

    @property
    def needs_simulator(self) -> bool:
        return hasattr(self.module, "require_simulator")

    def lacking(self) -> str:
        """Why the set cannot be had here, and what to do; "" where it is there or can be made."""
        if self.needs_simulator and not (self.folder / "complete").exists():
            try:
                self.module.require_simulator()
            except UserError as error:
                return str(error)
        return ""

    def build(self, workers: int | None = None) -> Path:
        if hasattr(self.module, "build"):
            return self.module.build(self.config, workers=workers)
        return rendered.build(self.module, self.config, workers=workers)


def parts(config: Hybrid) -> list[Part]:
    """All that the config names, or, where it names none, those that can be had here. UserError for one that is named and cannot be had."""
    lacking = left_out(config)
    if config.sources and lacking:
        raise UserError("; ".join(f"{name}: {why}" for name, why in lacking.items()))
    return [part for part in every(config) if part.name not in lacking]


def left_out(config: Hybrid) -> dict[str, str]:
    """Sources that cannot be had here -> why, and what to do."""
    return {part.name: why for part in every(config) if (why := part.lacking())}


def every(config: Hybrid) -> list[Part]:
    """The parts that the config names, or all, whether they can be had here or not."""
    return [_part(name, config) for name in OF_HYBRID if name in (config.sources or OF_HYBRID)]


def folder_of(chosen: list[Part]) -> Path:
    """Where the set of these parts lies, once it is made. Their folders' names stand for their fields and renderers."""
    text = json.dumps([part.folder.name for part in chosen])
    return paths.cache() / f"hybrid-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _part(name: str, config: Hybrid) -> Part:
    module = importlib.import_module(f"ivcore.data.{name}")
    fields = {field: getattr(config, field) for field in ("size", "frames", "fps", "seed")}
    train = config.clips.get(name, _CLIPS.get(name))
    if name == METAWORLD:
        return Part(name, module, with_training(train, **fields))
    if train is not None:
        fields |= {"train": train, "val": max(1, train // 10), "test": max(1, train // 10)}
    if name in RENDERED:
        return Part(name, module, rendered.configure(module, **fields))
    return Part(name, module, Shapes(name="hybrid", parts=("clips", "captions"), **fields))
