"""The hybrid set: clips of several different sources, a miniature of the paper's UnlabeledHybrid (table 1).

The paper pretrains on web videos, instructional videos, actions, hands and films together. The sources here:

    shapes      moving shapes: one or two things on a smooth ground; the order of frames tells what happens
    creatures   drawn, thin, articulated creatures whose parts move, on textured grounds; the camera may move
    camera      windows of real films from installed packages
    metaworld   a robot arm at 50 tasks; needs a simulator
    figures     people of simple shapes, moved by motion capture; needs the recordings in pybullet
    walks       first-person walks through the rooms and yards of MiniWorld; needs a simulator

Each source is a separate set in the cache. The hybrid's folder is <cache>/hybrid-<hash of its sources' folders>:

    videos/<source>-<name>.mp4   links to the sources' videos, no copies
    train.csv, val.csv, test.csv, classes.txt, groups.csv, msrvtt*       as in a source, see `data.annotations`, in mixed order
    sources.csv                  the source of each video
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

VERSION = "2"  # of the joined lists; they are written again if it changes
_CLIPS = {"shapes": 2100, METAWORLD: 800}  # training clips where the source's own default differs


@dataclass(frozen=True)
class Hybrid:
    """sources: the sources to join; () for all that are available here. clips: source -> number of training clips, if not the default.

    Validation and test have a tenth as many clips each (Meta-World a quarter). size: width and height in pixels, even. ParameterError for
    unknown or repeated names, and for numbers out of range.
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
    """A source with its config in the hybrid."""

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
        """Why the set is not available here, and what to do; "" if it exists or can be made."""
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
    """The parts that the config names, or, if it names none, all that are available here. UserError if a named part is not available."""
    lacking = left_out(config)
    if config.sources and lacking:
        raise UserError("; ".join(f"{name}: {why}" for name, why in lacking.items()))
    return [part for part in every(config) if part.name not in lacking]


def left_out(config: Hybrid) -> dict[str, str]:
    """Sources that are not available here -> why, and what to do."""
    return {part.name: why for part in every(config) if (why := part.lacking())}


def every(config: Hybrid) -> list[Part]:
    """The parts that the config names, or all parts, available here or not."""
    return [_part(name, config) for name in OF_HYBRID if name in (config.sources or OF_HYBRID)]


def folder_of(chosen: list[Part]) -> Path:
    """The folder of the set of these parts; it need not exist yet. Its hash covers the parts' folder names, so their fields and renderers, too."""
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
