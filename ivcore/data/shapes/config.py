"""The contents of the dataset of moving shapes, and its folder: <cache>/shapes-<name>-<hash>.

The videos are H.264 .mp4 files, and the annotations have the formats of real datasets. Parts:

    clips      videos/video<N>.mp4 with train.csv, val.csv, test.csv, classes.txt (Kinetics)
    further_test  videos/further<N>.mp4, test clips beyond those of `clips`: further_test.csv (Kinetics)
    zero_shot  videos/heldout<N>.mp4 of (shape, action) pairs that no other part shows: zero_shot.csv, zero_shot_classes.txt
    open_set   known_{train,val,test}.txt of the clips above; videos/unknown<N>.mp4 of further actions in unknown_test.txt (UCF101 lists)
    captions   msrvtt.json, msrvtt_train.csv, msrvtt_val.csv, msrvtt_test.csv (MSR-VTT)
    qa         videos/two<N>.mp4 of two actions, one after the other; qa_{train,val,test}.jsonl about these and the clips, train_ans2label.json (MSRVTT-QA)
    choice     choice_{val,test}.jsonl, five options, one of which is the reversed action (MSR-VTT multiple choice)
    untrimmed  untrimmed/<id>.mp4 of several shots with rests between the actions: activitynet.json (ActivityNet)
    ava        ava_{train,val}.csv, a keyframe a second, ava_{train,val}_excluded_timestamps.csv, ava_actions.pbtxt (AVA)

Appearance does not tell an action from its time reversal. In held-out clips both are made from the same scene, so a model that
ignores the order of the frames scores exactly one half on such a pair. In train every clip has its own scene. groups.csv (see
`data.groups`) lists which clips share a scene, for the clips and the further test clips.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from ivcore import paths
from ivcore.data import generated
from ivcore.data.shapes import scenes
from ivcore.errors import ParameterError

PARTS = ("clips", "further_test", "zero_shot", "open_set", "captions", "qa", "choice", "untrimmed", "ava")
# The random seeds depend on this order.
SPLITS = ("train", "val", "test", "zero_shot", "unknown", "untrimmed", "further_test")
FULL = 240  # from this number of training clips on, the held-out sets have full size
UNKNOWN_ACTIONS = ("push", "pull", "jump")
KNOWN_ACTIONS = tuple(a for a in scenes.ACTIONS if a not in (*UNKNOWN_ACTIONS, "rest"))
# The version of the renderer. A new text makes new videos: change it whenever pixels change
# (tests/data/test_golden_pixels.py), and only then, so that renaming code renders nothing again.
RENDERER_VERSION = "978f79555ea0677e697c19a4b29086020a7d6bdf2a59aabb10c971ab99a7143a"


@dataclass(frozen=True)
class Shapes:
    """`train` … `further_test`: numbers of videos; multiples of the number of actions keep classes balanced.

    size: width and height in pixels, even. contrast, drift, waves: of the background, see `scenes.make_scene`; None: its defaults.
    All fields but `parts` name the folder, so parts requested later go to the same folder. ParameterError for invalid fields.
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
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ParameterError(f"name={self.name!r}: must be letters, digits, '.', '_' or '-'")
        allowed = {"actions": tuple(scenes.ACTIONS), "unknown_actions": tuple(scenes.ACTIONS), "parts": PARTS}
        for field, names in allowed.items():
            object.__setattr__(self, field, tuple(getattr(self, field)))
            generated.require_names(field, getattr(self, field), names)
        if not self.actions or set(self.actions) & set(self.unknown_actions):
            raise ParameterError("actions: must be one or more, and none of them in unknown_actions")
        minimums = {"seed": 0, "size": 16, "frames": 2, "fps": 1} | dict.fromkeys(SPLITS, 0)
        generated.require_whole(self, minimums)

    @property
    def folder(self) -> Path:
        return paths.cache() / f"shapes-{self.name}-{self.hash}"

    @property
    def hash(self) -> str:
        """A hash of the fields and of the renderer's version, so that a changed renderer never uses old videos."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if k != "parts"}
        text = json.dumps(fields, sort_keys=True) + RENDERER_VERSION
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def with_training(train: int, **fields) -> Shapes:
    """A config with `train` training clips and the default held-out sets; below 240, a trial, no held-out set is larger than training.

    fields: other fields of Shapes, which take precedence.
    """
    held_out = {split: min(train, getattr(Shapes, split)) for split in SPLITS[1:]} if train < FULL else {}
    return Shapes(**{"train": train} | held_out | fields)
