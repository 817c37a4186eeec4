"""The motion of each class: motion-capture clips from pybullet, as points of a body in metres over time.

A file of pybullet (data/motions/humanoid3d_*.txt, made for DeepMimic, Peng et al. 2018, arXiv 1804.02717) holds a line of numbers for
each moment: how long it lasts, where the hip is, and how each joint is turned. `read` converts them to points, `cut` takes a few
seconds out. The person looks along x, with the right hand at positive z; y points up. Only the files are read; the simulator does not run.
"""

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ivcore.errors import UserError


@dataclass(frozen=True)
class Motion:
    """file: the middle of its name. within: first and last second that show the action; None: the whole file, which repeats.

    backwards: played from the end, as in `walk backwards`. travels: about how many metres a second, in the direction of the gaze.
    """

    file: str
    within: tuple[float, float] | None = None
    backwards: bool = False
    travels: float = 0.0


MOTIONS: dict[str, tuple[Motion, ...]] = {
    "walk": (Motion("walk", travels=1.0),),
    "walk backwards": (Motion("walk", backwards=True, travels=-1.0),),
    "run": (Motion("run", travels=3.5),),
    "jump": (Motion("jump", travels=0.6),),
    "kick": (Motion("kick", within=(0.0, 1.53)),),
    "spin kick": (Motion("spinkick"),),
    "punch": (Motion("punch", within=(0.0, 2.13)),),
    "cartwheel": (Motion("cartwheel"),),
    "backflip": (Motion("backflip"),),
    "roll": (Motion("roll", travels=0.4),),
    "crawl": (Motion("crawl", travels=0.3),),
    "spin in the air": (Motion("spin", within=(0.6, 3.2)),),
    "dance": (Motion("dance_a"), Motion("dance_b")),
    "get up from the back": (Motion("getup_faceup", within=(1.4, 3.77)),),
    "lie down on the back": (Motion("getup_faceup", within=(1.4, 3.77), backwards=True),),
    "get up from the front": (Motion("getup_facedown", within=(0.6, 3.03)),),
    "lie down on the front": (Motion("getup_facedown", within=(0.6, 3.03), backwards=True),),
}

# Joints in the order of the files: parent, place in the parent's axes (pybullet's humanoid.urdf, at a quarter), numbers in a line.
_JOINTS = {
    "hip": ("", (0, 0, 0), 4),
    "chest": ("hip", (0, 0.2362, 0), 4),
    "neck": ("chest", (0, 0.2239, 0), 4),
    "right_hip": ("hip", (0, 0, 0.0849), 4),
    "right_knee": ("right_hip", (0, -0.4215, 0), 1),
    "right_ankle": ("right_knee", (0, -0.4099, 0), 4),
    "right_shoulder": ("chest", (-0.0241, 0.2435, 0.1831), 4),
    "right_elbow": ("right_shoulder", (0, -0.2748, 0), 1),
    "left_hip": ("hip", (0, 0, -0.0849), 4),
    "left_knee": ("left_hip", (0, -0.4215, 0), 1),
    "left_ankle": ("left_knee", (0, -0.4099, 0), 4),
    "left_shoulder": ("chest", (-0.0241, 0.2435, -0.1831), 4),
    "left_elbow": ("left_shoulder", (0, -0.2748, 0), 1),
}
# Points that turn with a joint but are not joints.
_TIPS = {
    "head": ("neck", (0.01, 0.16, 0)),
    "crown": ("neck", (-0.005, 0.2, 0)),
    "hair": ("neck", (-0.03, 0.185, 0)),
    "nape": ("neck", (-0.035, 0.15, 0)),
    "right_wrist": ("right_elbow", (0, -0.2589, 0)),
    "right_fingers": ("right_elbow", (0, -0.31, 0)),
    "right_heel": ("right_ankle", (-0.03, -0.035, 0)),
    "right_toe": ("right_ankle", (0.13, -0.04, 0)),
    "left_wrist": ("left_elbow", (0, -0.2589, 0)),
    "left_fingers": ("left_elbow", (0, -0.31, 0)),
    "left_heel": ("left_ankle", (-0.03, -0.035, 0)),
    "left_toe": ("left_ankle", (0.13, -0.04, 0)),
}
PARENTS = {name: parent for name, (parent, *_) in (_JOINTS | _TIPS).items()}
POINTS = tuple(PARENTS)


def require_simulator() -> None:
    """UserError that says what to install, unless pybullet's files are there."""
    if importlib.util.find_spec("pybullet_data") is None:
        raise UserError("pybullet is not installed: `make sim`, or `pip install 'ivcore[sim]'`")


def _folder() -> Path:
    require_simulator()
    return Path(importlib.util.find_spec("pybullet_data").submodule_search_locations[0]) / "data" / "motions"


@cache
def read(file: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads a motion: (seconds (K,), points (K, P, 3) in the order of `POINTS`). UserError if pybullet is not installed."""
    lines = np.array(json.loads((_folder() / f"humanoid3d_{file}.txt").read_text())["Frames"], dtype=np.float64)
    seconds = np.concatenate([[0.0], np.cumsum(lines[:-1, 0])])
    return seconds, points(lines[:, 1:])


def points(lines: np.ndarray) -> np.ndarray:
    """The body's points (K, P, 3) for lines of a file without their first number, (K, 43)."""
    turned, placed, column = {}, {}, 3
    for name, (parent, offset, width) in _JOINTS.items():
        turn = _turns(lines[:, column : column + width])
        column += width
        turned[name] = turned[parent] @ turn if parent else turn
        placed[name] = placed[parent] + turned[parent] @ offset if parent else lines[:, :3]
    for name, (parent, offset) in _TIPS.items():
        placed[name] = placed[parent] + turned[parent] @ offset
    return np.stack([placed[name] for name in POINTS], axis=1)


def _turns(numbers: np.ndarray) -> np.ndarray:
    """Rotation matrices (K, 3, 3) of quaternions (K, 4), real part first, or of angles about z (K, 1)."""
    if numbers.shape[1] == 1:
        half, nought = numbers[:, 0] / 2, np.zeros(len(numbers))
        numbers = np.stack([np.cos(half), nought, nought, np.sin(half)], axis=1)
    w, x, y, z = (numbers / np.linalg.norm(numbers, axis=1, keepdims=True)).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def cut(motion: Motion, start: float, speed: float, moments: np.ndarray) -> np.ndarray:
    """The body's points (F, P, 3) at these moments (F,), in seconds from the beginning of the cut.

    start: from 0 to 1, selects one of the possible cuts. A motion that repeats begins again where it stopped. Any other stands still
    before its beginning and after its end if the cut is longer.
    """
    seconds, body = read(motion.file)
    moments = moments * speed
    if motion.backwards:
        moments = moments[-1] - moments
    if motion.within:
        first, last = motion.within
        moments = np.clip(first + start * (last - first - np.ptp(moments)) + moments, first, last)
        return _between(seconds, body, moments)
    rounds, moments = np.divmod(start * seconds[-1] + moments, seconds[-1])
    step = (body[-1, 0] - body[0, 0]) * (1, 0, 1)
    seam = body[0] + step - body[-1]  # spread over the round, so that it closes
    return _between(seconds, body + seconds[:, None, None] / seconds[-1] * seam, moments) + rounds[:, None, None] * step


def _between(seconds: np.ndarray, body: np.ndarray, moments: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(seconds, moments, side="right"), 1, len(seconds) - 1)
    share = (moments - seconds[after - 1]) / (seconds[after] - seconds[after - 1])
    return body[after - 1] + share[:, None, None] * (body[after] - body[after - 1])
