"""Future hand prediction: the positions of both hands in the next two seconds (Ego4D, arXiv 2211.09529)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ivcore.data import formats
from ivcore.data.formats import Picture
from ivcore.data.keyframes import KeyframeClips
from ivcore.losses.hands import NUMBERS
from ivcore.metrics.hands import displacements
from ivcore.stages import first_person
from ivcore.stages.evenly import evenly
from ivcore.stages.first_person import Frames, Track


def read(params: Mapping, run_dir=None) -> tuple[Track, dict[str, Frames]]:
    """The track and its parts. Each keyframe has one box, the whole picture; its labels are the positions and a mask of
    the known ones.

    As published, clips end one frame before the first of the five moments, so that all five are predicted.
    """
    track = first_person.track(params, "fho_hands", formats.read_hands, run_dir)
    return track, {name: first_person.frames(pictures, _target, ahead=1) for name, pictures in track.parts.items()}


def _target(picture: Picture, size: np.ndarray) -> tuple:
    places = places_of(picture) / np.tile(size, NUMBERS // 2)
    return [[0, 0, *size]], np.concatenate([np.nan_to_num(places), ~np.isnan(places)])[None]


def places_of(picture: Picture) -> np.ndarray:
    """(20,) in pixels, nan for a hand that is not visible."""
    return np.array([np.nan if each is None else each for each in picture.hands], float)


def found(model, clips: KeyframeClips, frames: Frames, **how) -> dict[str, np.ndarray]:
    """Picture id -> twenty numbers in pixels, for every readable clip."""
    say = lambda batch: list((0.5 + model(model.prepare(batch["video"])).float()).cpu().numpy())  # noqa: E731
    sizes = {picture.id: np.tile(size, NUMBERS // 2) for picture, size in zip(frames.pictures, frames.sizes)}
    return {name: each * sizes[name] for name, each in first_person.answers(model, clips, say, **how).items()}


def scored(frames: Frames, places: Mapping[str, np.ndarray], blind: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Displacements, without those of hands that are never visible, and `mean`, the average of both hands.

    blind: predictions for unreadable clips, which `places` lacks, see `mean_places`.
    """
    found_there = [places.get(picture.id, blind[picture.id]) for picture in frames.pictures]
    scores = displacements([places_of(picture) for picture in frames.pictures], found_there)
    mean = float(np.nanmean([scores["left_mean"], scores["right_mean"]]))
    return {name: value for name, value in scores.items() if value == value} | {"mean": mean}


def shares_seen(frames: Frames) -> dict[str, float]:
    """Share of the pictures in which each hand is visible at the first moment and at contact."""
    known = ~np.isnan([places_of(picture)[::2].reshape(5, 2) for picture in frames.pictures])
    names = ("left at first", "right at first", "left at contact", "right at contact")
    return dict(zip(names, known.mean(0)[[0, -1]].reshape(-1).tolist()))


def mean_places(train: Frames, frames: Frames) -> dict[str, np.ndarray]:
    """A baseline that sees no video: each number is its mean over the training pictures, as a share of the picture,
    scaled to the test picture's pixels.
    """
    every = np.array([places_of(p) / np.tile(size, NUMBERS // 2) for p, size in zip(train.pictures, train.sizes)])
    known = ~np.isnan(every)
    mean = np.where(known, every, 0).sum(0) / known.sum(0).clip(1)
    return {p.id: mean * np.tile(size, NUMBERS // 2) for p, size in zip(frames.pictures, frames.sizes)}


def samples(
    clips: KeyframeClips, frames: Frames, places: Mapping[str, np.ndarray], count: int = 8
) -> tuple[Sequence, Sequence, Sequence]:
    """For a figure: the last input frame of `count` clips, and true and predicted paths (5, 2, 2) as shares of the
    picture.
    """
    rows = [row for row, picture in enumerate(frames.pictures) if picture.id in places]
    rows = evenly(rows, count)
    shape = lambda row, flat: flat.reshape(5, 2, 2) / frames.sizes[row]  # noqa: E731
    pictures = [clips.in_order().item(row)["video"][-1] for row in rows]
    chosen = [frames.pictures[row] for row in rows]
    return (
        pictures,
        [shape(r, places_of(p)) for r, p in zip(rows, chosen)],
        [shape(r, places[p.id]) for r, p in zip(rows, chosen)],
    )
