"""Ego4D's single-frame tracks as keyframes with targets: training, validation and test parts, and the clip of each
frame (arXiv 2211.09529).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ivcore import paths
from ivcore.data import egocentric, groups, splits
from ivcore.data.formats import Picture, PictureSet
from ivcore.data.keyframes import Keyframe, KeyframeClips, collate
from ivcore.data.untrimmed import EGOCENTRIC
from ivcore.errors import ParameterError, UserError, VideoError
from ivcore.precision import autocast
from ivcore.stages.localization import Showing, by_batches
from ivcore.video import sampling
from ivcore.video.frame_folder import open_video
from ivcore.video.images import is_image, read_image


@dataclass(frozen=True)
class Frames:
    """Pictures of one part and their keyframes, in the same order. sizes (N, 2): width and height of each in pixels."""

    pictures: list[Picture]
    keyframes: list[Keyframe]
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True)
class Track:
    """The files of a track. missing: part -> number of pictures whose video is missing."""

    parts: dict[str, list[Picture]]
    nouns: dict[int, str]
    verbs: dict[int, str]
    source: str
    folder: Path
    missing: dict[str, int] = field(default_factory=dict)


def track(params: Mapping, file: str, read: Callable[..., PictureSet], run_dir=None) -> Track:
    """Reads annotations/<file>_{train,val}.json of the release in `data`, or of generated first-person scenes. A fifth
    of the training videos is for validation. ParameterError if a file is missing, UserError if the parts disagree on
    class ids.
    """
    if params["data"]:
        folder, source = Path(paths.resolve(params["data"])), "ego4d"
    else:
        folder, source = egocentric.build(egocentric.Egocentric.of(params["num_videos"])), EGOCENTRIC
    files = [folder / f"annotations/{file}_{part}.json" for part in ("train", "val")]
    if lacking := [path for path in files if not path.exists()]:
        name = lacking[0].relative_to(folder)
        raise ParameterError(f"data = {params['data']!r}: has no {name}; `iv data mini --list` shows layouts")
    train, test = (read(path, folder / "clips") for path in files)
    for kind in ("nouns", "verbs"):
        known = getattr(train, kind)
        if strange := [f"{key} {name!r}" for key, name in getattr(test, kind).items() if known.get(key) != name]:
            where = f"{files[1].relative_to(folder)}: {kind} {', '.join(strange[:3])}"
            raise UserError(
                f"{where}: no such id and name in {files[0].relative_to(folder)}, so nothing can have learned them"
            )
    given = {"train": train.pictures, "val": None, "test": test.pictures}
    together = groups.of_one_video([*train.pictures, *test.pictures])
    parted = splits.part(given, together=together, max_bad=params["max_bad"], run_dir=run_dir)
    print("".join(f"{line}\n" for line in parted.notes), end="")
    return Track(parted.records, train.nouns, train.verbs, source, folder, parted.missing)


def frames(pictures: list[Picture], target: Callable[[Picture, np.ndarray], tuple], ahead: int = 0) -> Frames:
    """Makes keyframes. target(picture, its width and height) -> boxes (n, 4) in pixels, labels (n, K).

    If the size of a video cannot be read, its pictures stay; reading their clips then counts the error. ahead: number
    of frames by which a keyframe comes before the picture's frame.
    """
    known: dict[str, tuple[int, int]] = {}
    sizes = np.array([picture.size or _size(picture.path, known) for picture in pictures], float).reshape(-1, 2)
    shown = []
    for picture, size in zip(pictures, sizes):
        boxes, labels = target(picture, size)
        shares = (np.reshape(boxes, (-1, 4)) / np.tile(size, 2)).clip(0, 1)
        second = max((picture.frame or 0) - ahead, 0) / picture.fps
        shown.append(Keyframe(picture.id, picture.path, second, shares, np.asarray(labels, np.float32)))
    return Frames(pictures, shown, sizes)


def _size(path: str, known: dict) -> tuple[int, int]:
    if path not in known:
        try:
            if is_image(path):
                known[path] = read_image(path).shape[2:0:-1]
            else:
                with open_video(path) as video:
                    known[path] = video.width, video.height
        except VideoError:
            known[path] = 1, 1
    return known[path]


def showing(params: Mapping, run_dir, order: str, before: bool) -> Showing:
    """How clips are shown: the frames before the keyframe if the model must predict what comes (`before`), otherwise
    those around it.
    """
    names = ("num_frames", "sampling_rate", "image_size", "image_size", "in_memory", "strict_decoding", "max_bad")
    shown = Showing(*(params[name] for name in names), run_dir, order)
    return replace(shown, frames=sampling.until) if before else shown


def clips(parts: Mapping[str, Frames], params: Mapping, run_dir, order: str = "ordered", before: bool = False, jitter: float = 0.0) -> dict[str, KeyframeClips]:  # fmt: skip
    """part -> its clips. In training boxes are jittered (`jitter`). Nothing is flipped or cropped, since left and right
    are labels and positions are targets.
    """
    shown = showing(params, run_dir, order, before)
    make = {"train": partial(shown.training, seed=params["seed"], smallest_crop=1.0, flip=0.0, jitter=jitter)}
    return {name: make.get(name, partial(shown.testing, extended=False))(part) for name, part in parts.items()}


@torch.inference_mode()
def answers(model, shown: KeyframeClips, answer: Callable[[dict], list], *, batch_size: int = 32, num_workers: int = 0, precision: str = "fp32") -> dict[str, Any]:  # fmt: skip
    """Keyframe name -> answer(batch, on the model's device) for its clip, for every readable clip. Ranks share the
    work. Puts the model into eval mode.
    """
    model.eval()
    device = next(model.parameters()).device

    def said(read: list) -> list:
        if not read:
            return []
        batch = collate([item for _, item in read])
        batch |= {name: batch[name].to(device) for name in ("video", "boxes", "there")}
        with autocast(device, precision):
            return list(zip([record.name for record, _ in read], answer(batch), strict=True))

    return dict(pair for part in by_batches(said, shown, set(), batch_size, num_workers) for pair in part)
