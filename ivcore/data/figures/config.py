"""Human figures: 17 actions, from walking to a backflip, by people of simple shapes. A source of rendered clips, see `data.rendered`.

Every clip has its own scene: another person, place, light, camera and cut. The splits differ in looks and in views: each pair of
colours of shirt and trousers, and each sector of 5 degrees around the person, belongs to one split (`plan`). The motions themselves are
shared. There are 15 recordings for 17 classes, so scores say nothing about the movements of other people. Three classes are recordings
played backwards; only the order of frames tells them from the forward ones.
"""

from dataclasses import dataclass

from ivcore.data import generated
from ivcore.data.annotations import SPLITS, Clip
from ivcore.data.figures.captions import captions
from ivcore.data.figures.motions import MOTIONS
from ivcore.data.figures.plan import Plan, draw
from ivcore.data.rendered import MINIMUMS

CLASSES = tuple(MOTIONS)
RENDERER_VERSION = "1"


@dataclass(frozen=True)
class Figures:
    """train, val, test: numbers of clips, spread evenly over the classes. size: width and height in pixels, even. A clip lasts frames / fps seconds."""

    train: int = 1360
    val: int = 170
    test: int = 340
    size: int = 80
    frames: int = 16
    fps: int = 8
    seed: int = 0

    def __post_init__(self):
        generated.require_whole(self, MINIMUMS)


def clips(config: Figures) -> list[Clip]:
    """All clips, known without rendering: train first, then val, then test. A larger set begins with the clips of a smaller one."""
    return [_clip(config, split, number) for split in SPLITS for number in range(getattr(config, split))]


def _clip(config: Figures, split: str, number: int) -> Clip:
    name, label = f"{split}-{number:05d}", CLASSES[number % len(CLASSES)]
    return Clip(name, split, label, captions(plan_of(config, name)), name)


def plan_of(config: Figures, name: str) -> Plan:
    """The plan of the clip with this name."""
    split, number = name.split("-")
    return draw(config.seed, split, int(number), CLASSES[int(number) % len(CLASSES)])
