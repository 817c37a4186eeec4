"""Groups of videos that are not independent, such as clips of one scene or cuts of one film.

    <folder>/groups.csv      `path number` a line: videos with the same number form a group; an unlisted video is a group of its own

It lies beside a list of videos, or in a folder of label sets. Standard errors are then computed over groups (`metrics.certainty`). The
moving shapes have such a file, because a held-out scene is shown forwards and backwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ivcore.data import formats
from ivcore.errors import FormatError

if TYPE_CHECKING:
    from torch import Tensor

FILE = "groups.csv"


def read_groups(folder, root=None) -> dict[str, int]:
    """path -> number of its group, for the videos in the folder's groups.csv; {} without that file. Relative paths as in the list of videos.

    FormatError for a malformed file, or a video with two numbers.
    """
    file = Path(folder) / FILE
    together: dict[str, int] = {}
    for video in formats.read_kinetics_csv(file, root) if file.is_file() else []:
        path = os.path.normpath(video.path)
        if together.setdefault(path, video.label) != video.label:
            raise FormatError(file, None, f"{path} has two numbers, {together[path]} and {video.label}; expected one")
    return together


def of_one_video(clips: Iterable) -> dict[str, str]:
    """path -> `video_uid`, for clips that say which video they are cut from."""
    return {os.path.normpath(clip.path): clip.video_uid for clip in clips if clip.video_uid}


def group_numbers(paths: Sequence[str], together: Mapping[str, int]) -> Tensor:
    """int64 (N,): the group of each path, numbered from 0. Paths have the same number if `together` says so, or if they are equal."""
    import torch

    keys = [together.get(os.path.normpath(path), os.path.normpath(path)) for path in paths]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return torch.tensor([numbers[key] for key in keys], dtype=torch.int64)
