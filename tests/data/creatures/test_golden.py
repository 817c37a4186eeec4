"""The creatures look as they did. Whoever changes a pixel must name a new version, or old files pass for new ones."""

import json
from pathlib import Path

import numpy as np

from ivcore.data import creatures

GOLDEN = Path(__file__).parents[2] / "golden/creatures.json"
CONFIG = creatures.Creatures(train=len(creatures.CLASSES), val=0, test=0, size=64)
SAY = "another picture: set creatures.config.RENDERER_VERSION to another text and run `python tests/data/creatures/test_golden.py`"


def coarse(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (4, 4, 3): the mean of each sixteenth, which no rounding of another processor moves by much."""
    side = len(frame) // 4
    return frame.reshape(4, side, 4, side, 3).mean((1, 3))


def pictures() -> np.ndarray:
    """An early and a late frame of one clip of each action. -> (30, 2, 4, 4, 3)"""
    films = creatures.film(CONFIG, creatures.clips(CONFIG))
    return np.stack([[coarse(film[3]), coarse(film[11])] for film in films])


def test_pixels_are_those_of_the_version():
    golden = json.loads(GOLDEN.read_text())
    assert golden["renderer"] == creatures.RENDERER_VERSION, SAY
    assert np.abs(pictures() - np.array(golden["pictures"])).max() < 0.5, SAY


if __name__ == "__main__":
    golden = {"renderer": creatures.RENDERER_VERSION, "pictures": pictures().round(1).tolist()}
    GOLDEN.write_text(json.dumps(golden) + "\n")
