"""A long film that a benchmark writes for itself, and a sample of its windows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import clip_zoo as zoo
import numpy as np


def arguments(description: str, minutes: float, sample: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--height", type=int, default=120, help="of the file; 4:3")
    parser.add_argument("--gop", type=int, default=250, help="frames from one key frame of the file to the next")
    parser.add_argument("--sample", type=int, default=sample, help="windows that are read by themselves, 0 for all")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    return parser


def write(options, folder: str, preset: str, **shares: float) -> None:
    """A file NAME.mp4 for each NAME=SHARE of the minutes, with this preset of x264."""
    size = (options.height, options.height * 4 // 3 // 2 * 2)
    for name, share in shares.items():
        frames = round(options.minutes * 60 * options.fps * share)
        codec = {"preset": preset, "g": str(options.gop)}
        zoo.write(Path(folder, f"{name}.mp4"), frames=frames, size=size, fps=options.fps, options=codec)


def sampled(count: int, size: int, in_a_row: int) -> tuple[np.ndarray, float]:
    """About `size` of `count` windows, in series all over the film: (their numbers, factor from these to all)."""
    if not 0 < size < count:
        return np.arange(count), 1.0
    firsts = np.linspace(0, count - in_a_row, max(1, size // in_a_row)).astype(int)
    numbers = np.unique(firsts[:, None] + np.arange(in_a_row))
    return numbers, count / len(numbers)
