"""Which videos of a set belong together, so that they are not so many independent ones: clips of one scene, cuts of one film.

    <folder>/groups.csv      `path number` a line: videos of the same number belong together, those that are not listed stand alone

It lies beside a list of videos, or in a folder of label sets. Errors of measurement are then counted over groups (`metrics.certainty`). The
moving shapes have one: a held-out scene is shown forwards and backwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ivcore.data import formats

if TYPE_CHECKING:
    from torch import Tensor

FILE = "groups.csv"


def read_groups(folder, root=None) -> dict[str, int]:
    """path -> number of its group, of the videos that the folder's file lists; empty without one. Relative paths as in the list of videos.

    FormatError for a malformed file.
    """
    file = Path(folder) / FILE
    listed = formats.read_kinetics_csv(file, root) if file.is_file() else []
    return {os.path.normpath(video.path): video.label for video in listed}


def of_one_video(clips: Iterable) -> dict[str, str]:
    """path -> `video_uid`, of clips that say which video they are cut from."""
    return {os.path.normpath(clip.path): clip.video_uid for clip in clips if clip.video_uid}


def group_numbers(paths: Sequence[str], together: Mapping[str, int]) -> Tensor:
    """int64 (N,), from 0: the same number for videos that belong together by `together`, and for the same path."""
    import torch

    keys = [together.get(os.path.normpath(path), os.path.normpath(path)) for path in paths]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return torch.tensor([numbers[key] for key in keys], dtype=torch.int64)
