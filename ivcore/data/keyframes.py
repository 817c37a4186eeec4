"""Keyframes with boxes, as in AVA and AVA-Kinetics: finds their videos, reads the clip around each, and makes batches.

A keyframe belongs to a second of a video and is in the middle of its clip. Its boxes follow the picture when that is cropped, mirrored or
resized.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ivcore.data import formats
from ivcore.data.bad_videos import BadVideos
from ivcore.data.clips import Clips
from ivcore.data.memory import LARGEST
from ivcore.errors import UserError, VideoError
from ivcore.metrics.frame_map import Boxes
from ivcore.progress import Progress
from ivcore.video import boxes as moving
from ivcore.video.frame_folder import open_video

STRETCH = 256  # frames decoded at once
PAST_END = 1.0  # seconds that a keyframe may be after the last frame
_PART = re.compile(r"(.+)_([0-9]{6})_([0-9]{6})")  # Kinetics' name of a part of a video: id, first and last second


@dataclass(frozen=True)
class Keyframe:
    """seconds: its time in the file at `path`. boxes: (n, 4), x1, y1, x2, y2 as shares of the picture. actions: (n, K) of 0 and 1, all 0 for boxes
    of a detector. frames: its clip, if that is kept in memory."""

    name: str
    path: str
    seconds: float
    boxes: np.ndarray
    actions: np.ndarray
    frames: np.ndarray | None = None


class Films:
    """The videos of a folder by id: the name of the file or of the folder of frames, or the id in a name of Kinetics' pattern.

    first_second: the second of the whole video at which a file begins if its name does not say it (AVA's are often cut from 900). UserError
    if the folder does not exist.
    """

    def __init__(self, folder, first_second: float = 0.0):
        self.folder, self.parts = Path(folder), {}
        if not self.folder.is_dir():
            raise UserError(f"{folder}: there is no such folder of videos")
        for path in sorted(self.folder.iterdir()):
            name = path.name if path.is_dir() else path.stem
            part = _PART.fullmatch(name)
            video, first, last = part.groups() if part else (name, first_second, "inf")
            self.parts.setdefault(video, []).append((float(first), float(last), str(path)))

    def find(self, video: str, timestamp: float) -> tuple[str, float] | None:
        """(path, seconds from the start of the file) of a second of a video, or None if no file has it."""
        fitting = (
            (path, timestamp - first) for first, last, path in self.parts.get(video, []) if first <= timestamp <= last
        )
        return next(fitting, None)


@dataclass(frozen=True)
class BoxSet:
    """Keyframes whose videos exist, with boxes. truth: all true boxes, labels are action_ids. missing: number of keyframes without a video.

    videos: ids of all listed videos. left_out: names of the keyframes that evaluation excludes.
    """

    keyframes: list[Keyframe]
    truth: Boxes
    films: Films
    videos: frozenset[str]
    left_out: frozenset[str] = frozenset()
    missing: int = 0

    def __len__(self) -> int:
        return len(self.keyframes)

    def of_videos(self, chosen: Callable[[str], bool]) -> BoxSet:
        """The keyframes of the videos for whose path `chosen` is true."""
        kept = [keyframe for keyframe in self.keyframes if chosen(keyframe.path)]
        names = {keyframe.name for keyframe in kept}
        return replace(self, keyframes=kept, truth=self.truth.take(np.isin(self.truth.frame, list(names))))


def name_of(video: str, timestamp: float, whole_seconds: bool = False) -> str:
    """A keyframe's name. whole_seconds: as in the published evaluator, which merges keyframes of the same second."""
    return f"{video},{int(timestamp):04d}" if whole_seconds else f"{video},{timestamp:.6g}"


def read_box_set(
    file,
    folder,
    known: Collection[int],
    *,
    excluded: str = "",
    first_second: float = 0.0,
    whole_seconds: bool = False,
    max_bad: int | float | None = None,
    run_dir=None,
) -> BoxSet:
    """Reads AVA's or AVA-Kinetics' list, CSV or JSON, with the videos in `folder`.

    known: the valid action_ids; column i of actions is action_id i + 1. excluded: a file of keyframes to leave out.
    FormatError for a malformed row. A missing video is noted and its keyframes are left out;
    UserError if more than `max_bad` (see `BadVideos`) or all are missing.
    """
    films = Films(folder, first_second)
    name = partial(name_of, whole_seconds=whole_seconds)
    left_out = {name(*each) for each in formats.read_ava_excluded(excluded)} if excluded else set()
    by_frame: dict[tuple, list[formats.AvaBox]] = {}
    for box in formats.read_ava_truth(file, known):
        if name(box.video_id, box.timestamp) not in left_out:
            by_frame.setdefault((box.video_id, box.timestamp), []).append(box)
    places = {frame: films.find(*frame) for frame in by_frame}
    sought = [place[0] if place else str(films.folder / frame[0]) for frame, place in places.items()]
    bad = BadVideos(sought, max_bad, run_dir)
    found, missing = [], 0
    for frame, boxes in by_frame.items():
        place = places[frame]
        if place is None:
            bad.note(VideoError(films.folder / frame[0], f"no video with this name has the second {frame[1]:g}"))
            missing += 1
        else:
            found.append(_keyframe(name(*frame), *place, boxes, max(known)))
    if not found:
        raise UserError(f"{file}: none of its {len(by_frame)} keyframes has a video in {folder}, e.g. {bad.example()}")
    bad.refuse_too_many()
    there = {keyframe.name for keyframe in found}
    rows = [(name(*frame), box) for frame, boxes in by_frame.items() for box in boxes if name(*frame) in there]
    truth = Boxes([each for each, _ in rows], [box.box for _, box in rows], [box.action for _, box in rows])
    return BoxSet(found, truth, films, frozenset(video for video, _ in by_frame), frozenset(left_out), missing)


def _keyframe(name: str, path: str, seconds: float, boxes: Iterable[formats.AvaBox], count: int) -> Keyframe:
    """One keyframe from its AVA boxes; the actions of one person share a box."""
    people: dict[tuple, list[int]] = {}
    for box in boxes:
        people.setdefault((box.box, box.person), []).append(box.action - 1)
    actions = np.zeros((len(people), count), np.float32)
    for row, labels in enumerate(people.values()):
        actions[row, labels] = 1
    return Keyframe(name, path, seconds, np.array([corners for corners, _ in people]), actions)


def with_detections(
    boxes: BoxSet, people: Iterable[formats.PersonBox], least_score: float, *, whole_seconds: bool = False
) -> tuple[BoxSet, int]:
    """Returns (the set with a detector's boxes of at least `least_score` instead of the true ones, number of boxes on other videos).

    Keyframes that only the detector lists are added, because detections there are false; keyframes that it does not list have no box. UserError
    if no box is on the set's videos.
    """
    name, by_frame, others = partial(name_of, whole_seconds=whole_seconds), {}, 0
    for person in people:
        if person.video_id not in boxes.videos:
            others += 1
        elif person.score >= least_score and name(person.video_id, person.timestamp) not in boxes.left_out:
            by_frame.setdefault((person.video_id, person.timestamp), []).append(person.box)
    if not by_frame:
        raise UserError(
            f"test_boxes: no box of at least {least_score} on the test videos; {others} boxes are of other videos, maybe of another split"
        )
    count, known = boxes.keyframes[0].actions.shape[1], {keyframe.name: keyframe for keyframe in boxes.keyframes}
    found = {}
    for frame, corners in by_frame.items():
        place = boxes.films.find(*frame)
        if place is not None:
            found[name(*frame)] = Keyframe(
                name(*frame), *place, np.array(corners), np.zeros((len(corners), count), np.float32)
            )
    none = [
        replace(k, boxes=np.empty((0, 4)), actions=np.empty((0, count), np.float32))
        for n, k in known.items()
        if n not in found
    ]
    return replace(boxes, keyframes=[*found.values(), *none]), others


def frames_around(keyframe: Keyframe, sampler: Callable, size=None, strict: bool = False) -> np.ndarray:
    """The clip uint8 (T, h, w, 3) around a keyframe. sampler(number of frames, keyframe's index). VideoError if the file has no such second."""
    if keyframe.frames is not None:
        return keyframe.frames
    with open_video(keyframe.path, size, strict) as video:
        return video.read(sampler(len(video), _index(keyframe, video.times)))


def _index(keyframe: Keyframe, times: np.ndarray) -> int:
    """The index of the frame on screen at the keyframe. VideoError if the file has no such second."""
    if not 0 <= keyframe.seconds <= times[-1] + PAST_END:
        raise VideoError(keyframe.path, f"has no second {keyframe.seconds:g}, its last frame is at {times[-1]:.2f}")
    return max(int(np.searchsorted(times, keyframe.seconds + 1e-6, "right")) - 1, 0)


def decoded(
    keyframes: Sequence[Keyframe], sampler: Callable, size: int, bad: BadVideos, strict: bool = False
) -> list[Keyframe]:
    """The keyframes with their clips in memory; each frame is decoded once. Keyframes of unreadable videos stay without a clip; the video is noted.

    UserError if the clips need more than 8 GiB.
    """
    by_path: dict[str, list[int]] = {}
    for row, keyframe in enumerate(keyframes):
        by_path.setdefault(keyframe.path, []).append(row)
    kept, total = list(keyframes), 0
    with Progress(len(by_path), "decode", unit="video") as bar:
        for place, (path, rows) in enumerate(by_path.items(), 1):
            try:
                with open_video(path, size, strict) as video:
                    clips = [sampler(len(video), _index(keyframes[row], video.times)) for row in rows]
                    needed = np.unique(np.concatenate(clips))
                    frames = _in_stretches(video, needed)
            except VideoError as error:
                bad.note(error)
                continue
            for row, clip in zip(rows, clips):
                kept[row] = replace(keyframes[row], frames=frames[np.searchsorted(needed, clip)])
                total += kept[row].frames.nbytes
            if total > LARGEST:
                raise UserError(
                    f"{path}: the clips of {len(keyframes)} keyframes are more than is kept in memory; set in_memory=false"
                )
            bar.update(place)
    return kept


def _in_stretches(video, needed: np.ndarray) -> np.ndarray:
    """The frames `needed` (ascending) of a video. Decodes those in between, too: a decoder that skips restarts at a full picture each time."""
    starts = range(int(needed[0]), int(needed[-1]) + 1, STRETCH)
    parts = [needed[(needed >= start) & (needed < start + STRETCH)] for start in starts]
    return np.concatenate([video.read(np.arange(part[0], part[-1] + 1))[part - part[0]] for part in parts if len(part)])


class KeyframeClips(Clips):
    """Items dict(video uint8 (T, height, width, 3), boxes (n, 4), labels (n, K), index int, path str), and `batch`es of them.

    view(frames, boxes, rng) -> (clip, boxes (m, 4), indices of these among the n boxes), see `training_view` and `whole_view`. Further
    arguments as in `Clips`. Two are for ablations. frame_order: "ordered"; "shuffled" in each clip; "past_shuffled", with the last frame kept in
    place; or a "single" frame repeated. region: "box", or "picture", which makes every box as large as the picture.
    """

    def __init__(
        self, keyframes: Sequence[Keyframe], sampler: Callable, view: Callable, size: int, *,
        frame_order: str = "ordered", region: str = "box", **how,
    ):  # fmt: skip
        super().__init__(keyframes, sampler, size, **how)
        self.view, self.frame_order, self.region = view, frame_order, region

    def clip(self, record: Keyframe, rng: np.random.Generator) -> tuple[dict, int]:
        frames = frames_around(record, self.sampler, self.size, self.strict)
        video, boxes, kept = self.view(frames, record.boxes, rng)
        if self.frame_order == "shuffled":
            video = video[rng.permutation(len(video))]
        elif self.frame_order == "past_shuffled":
            video = video[[*rng.permutation(len(video) - 1), -1]]
        elif self.frame_order == "single":
            video = video[np.full(len(video), rng.integers(len(video)))]
        if self.region == "picture":
            boxes = np.tile([0.0, 0.0, 1.0, 1.0], (len(boxes), 1))
        return {"video": video, "boxes": boxes.astype(np.float32), "labels": record.actions[kept]}, 0

    def in_order(self) -> KeyframeClips:
        """The same clips with their frames in order, for pictures."""
        same = copy(self)
        same.frame_order = "ordered"
        return same

    def item(self, index: int, epoch: int = 0) -> dict:
        shown = super().item(index, epoch)
        return shown.pop("video") | {name: shown[name] for name in ("index", "path")}

    def batch(self, indices: Iterable[int], epoch: int = 0) -> dict:
        return collate([self.item(index, epoch) for index in indices])


def collate(items: Sequence[dict]) -> dict:
    """Items of `KeyframeClips` -> dict(video (B, T, H, W, 3), boxes (B, P, 4), there bool (B, P), labels (B, P, K), path list); P: most boxes."""
    most, count = max(1, *(len(item["boxes"]) for item in items)), items[0]["labels"].shape[1]
    boxes, labels = torch.zeros(len(items), most, 4), torch.zeros(len(items), most, count)
    there = torch.zeros(len(items), most, dtype=torch.bool)
    for row, item in enumerate(items):
        n = len(item["boxes"])
        boxes[row, :n], labels[row, :n] = torch.from_numpy(item["boxes"]), torch.from_numpy(item["labels"])
        there[row, :n] = True
    video = torch.from_numpy(np.stack([item["video"] for item in items]))
    return {"video": video, "boxes": boxes, "there": there, "labels": labels, "path": [item["path"] for item in items]}


def training_view(frames, boxes, rng, *, height: int, width: int, smallest_crop: float, flip: float, jitter: float):
    """A random crop, a flip, a resize to the clip's size; then each side of a box moves by up to `jitter` times the published reach."""
    kept = np.arange(len(boxes))
    if smallest_crop < 1:
        frames, boxes, kept = moving.crop(frames, boxes, rng, smallest_crop)
    frames, boxes = moving.flip(frames, boxes, rng, flip)
    frames, boxes = moving.fit(frames, boxes, height, width)
    reach = [(jitter * outward, jitter * inward) for outward, inward in moving.JITTER]
    return frames, moving.jitter(boxes, rng, reach), kept


def whole_view(frames, boxes, rng=None, *, height: int, width: int, extended: bool = True):
    """The whole picture at the clip's size; if `extended`, boxes are slightly enlarged, as published."""
    boxes = moving.extend(boxes) if extended else boxes
    return *moving.fit(frames, boxes, height, width), np.arange(len(boxes))
