"""A source of rendered clips as small as can be, written as the module that a test names; see `ivcore.data.rendered`."""

import importlib
import sys

SOURCE = """
import time
from dataclasses import dataclass

import numpy as np

from ivcore.data.rendered import Clip

RENDERER_VERSION = "1"
CLASSES = ("brightens", "darkens")

@dataclass(frozen=True)
class {kind}:
    train: int = 12
    val: int = 4
    test: int = 4
    size: int = 16
    frames: int = 4
    fps: int = 2
    seed: int = 0

def clips(config):
    return [
        Clip(f"{{split}}-{{n}}", split, CLASSES[n % 2], (f"it {{CLASSES[n % 2]}}", "the light changes"), f"{{split}} {{n // 2}}")
        for split in ("train", "val", "test")
        for n in range(getattr(config, split))
    ]

def film(config, todo):
    for clip in todo:
        time.sleep(0.05)
        own = np.random.default_rng(list((__name__ + clip.name).encode())).integers(0, 50, (config.size, config.size, 3))
        light = np.linspace(20, 200, config.frames)[:, None, None, None] + own
        turn = -1 if clip.label == "darkens" else 1
        yield light[::turn].astype(np.uint8)
"""


def write(folder, name: str, monkeypatch):
    """The module `name`, written into `folder`, which worker processes find too."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(SOURCE.format(kind=name.capitalize()))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)
