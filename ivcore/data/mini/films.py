"""The moving shapes that the miniatures use as videos."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ivcore.data.shapes import Shapes, clips, film, plan
from ivcore.data.shapes.config import KNOWN_ACTIONS, UNKNOWN_ACTIONS
from ivcore.video.writer import write_video

ACTIONS = KNOWN_ACTIONS[:4]  # the first four classes of a dataset show these
TRAIN, VAL = 5, 2  # clips of each class
_EACH = {"train": len(ACTIONS), "val": len(ACTIONS), "test": len(ACTIONS), "unknown": len(UNKNOWN_ACTIONS)}


def setting(**counts: int) -> Shapes:
    """The config of the moving shapes. counts: clips of each class in a split, such as train=5, or number of `untrimmed` videos."""
    return Shapes(name="mini", actions=ACTIONS, **({"test": 0} | {n: c * _EACH.get(n, 1) for n, c in counts.items()}))


def trimmed(train: int = TRAIN, val: int = VAL) -> Iterator[tuple[str, int, int, plan.Video]]:
    """Yields (split, class, number, video) of clips with one action each."""
    for number, video in enumerate(clips(setting(train=train, val=val))):
        yield video.split, ACTIONS.index(video.action), number, video


def shoot(path: Path, video: plan.Video, config: Shapes | None = None) -> str:
    """Writes the video and returns its path as text."""
    config = config or setting()
    write_video(path, film(config, video), config.fps)
    return str(path)


def unpack(folder: Path, video: plan.Video, name: str) -> tuple[str, int]:
    """Writes the video's frames, numbered from 1, with the pattern `name` ("img_{:05d}.jpg"); returns (folder, number of frames)."""
    frames: np.ndarray = film(setting(), video)
    folder.mkdir(parents=True)
    for number, picture in enumerate(frames, 1):
        Image.fromarray(picture).save(folder / name.format(number), quality=95)
    return str(folder), len(frames)


def youtube_id(number: int) -> str:
    """A made-up id of eleven characters, as YouTube's."""
    return f"mini{number:07d}"
