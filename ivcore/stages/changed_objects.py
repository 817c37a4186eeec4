"""State-change object detection (Ego4D, arXiv 2211.09529): which thing is being changed, and how, on one frame of a
clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ivcore.data import formats
from ivcore.data.formats import Picture
from ivcore.data.keyframes import KeyframeClips
from ivcore.heads.clip_detector import ClipDetector
from ivcore.metrics.coco_ap import coco_ap
from ivcore.metrics.frame_map import Boxes
from ivcore.stages import first_person
from ivcore.stages.evenly import evenly
from ivcore.stages.first_person import Frames, Track


def read(params: Mapping, run_dir=None) -> tuple[Track, dict[str, Frames]]:
    """The track and its parts. Keyframes hold the boxes of the changed things, labelled with their categories."""
    track = first_person.track(params, "scod", formats.read_changed, run_dir)
    rows = {number: row for row, number in enumerate(track.nouns)}

    def target(picture: Picture, size) -> tuple:
        labels = np.zeros((len(picture.things), len(rows)), np.float32)
        for each, (_, category) in zip(labels, picture.things):
            each[rows[category]] = 1
        return [box for box, _ in picture.things], labels

    return track, {name: first_person.frames(pictures, target) for name, pictures in track.parts.items()}


def found(model: ClipDetector, clips: KeyframeClips, **how) -> Boxes:
    """Every detected box in every readable clip, as shares of the picture; labels are rows of the categories."""

    def say(batch: dict) -> list:
        return [
            tuple(each.float().cpu().numpy() for each in one) for one in model.detect(model.prepare(batch["video"]))
        ]

    said = first_person.answers(model, clips, say, **how)
    frames = [name for name, (boxes, *_) in said.items() for _ in boxes]
    columns = (np.concatenate(column) if said else [] for column in zip(*said.values()))
    return Boxes(frames, *columns) if said else Boxes([], [], [], [])


def truth(frames: Frames, track: Track) -> Boxes:
    rows = {number: row for row, number in enumerate(track.nouns)}
    each = [
        (k.name, box, rows[c])
        for k, p in zip(frames.keyframes, frames.pictures)
        for box, (_, c) in zip(k.boxes, p.things)
    ]
    return Boxes(*zip(*each)) if each else Boxes([], [], [])


def scored(found_boxes: Boxes, frames: Frames, track: Track, one_kind: bool = False) -> dict[str, float]:
    """COCO AP scores of the found boxes. one_kind: count all kinds of change as one, see `of_one_kind`."""
    real = truth(frames, track)
    return coco_ap(of_one_kind(real) if one_kind else real, found_boxes)


def of_one_kind(boxes: Boxes) -> Boxes:
    return replace(boxes, label=np.zeros(len(boxes), int))


def samples(clips: KeyframeClips, frames: Frames, track: Track, found_boxes: Boxes, count: int = 8) -> tuple:
    """For `show.boxes`: the middle frame of `count` clips, its true boxes, and the best found box."""
    names = list(track.nouns.values())
    rows = evenly(range(len(frames)), count)
    pictures, real, guessed = [], [], []
    for row in rows:
        video, keyframe = clips.in_order().item(row)["video"], frames.keyframes[row]
        pictures.append(video[len(video) // 2])
        real.append([(box, track.nouns[c]) for box, (_, c) in zip(keyframe.boxes, frames.pictures[row].things)])
        mine = found_boxes.take(np.flatnonzero(found_boxes.frame == keyframe.name))
        best = mine.take(np.argsort(-mine.score)[:1])
        guessed.append(
            [(box, f"{names[label]} {score:.2f}") for box, label, score in zip(best.box, best.label, best.score)]
        )
    return pictures, real, guessed
