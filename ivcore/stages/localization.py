"""Spatiotemporal action localization (paper 4.3.1): AVA's and AVA-Kinetics' lists as one task, the boxes to test on,
and the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from ivcore import distributed_evaluation, paths
from ivcore.data import formats, keyframes, shapes
from ivcore.data.bad_videos import BadVideos
from ivcore.data.keyframes import BoxSet, Keyframe, KeyframeClips
from ivcore.errors import ParameterError, VideoError
from ivcore.heads.person_detector import PersonDetector
from ivcore.metrics.frame_map import Boxes, FrameScores, frame_scores
from ivcore.precision import autocast
from ivcore.stages.evenly import evenly
from ivcore.video import sampling

FILES = ("train_csv", "test_csv", "video_root", "actions", "scored_actions", "test_excluded", "kinetics_train_csv", "kinetics_test_csv", "kinetics_root")  # fmt: skip
CLASSES = 80  # of AVA, used if no list names the classes
SEED = 32  # of the moving shapes: no other notebook shows these videos


@dataclass(frozen=True)
class Lists:
    """test: a set for each source of test keyframes, "ava" and maybe "kinetics"; names: action_id -> name; scored: the
    classes that count.

    shared: number of training videos left out because they are also in the test set.
    """

    train: BoxSet
    val: BoxSet
    test: dict[str, BoxSet]
    names: dict[int, str]
    scored: list[int]
    source: str
    shared: int = 0

    @property
    def coverage(self) -> dict[str, int]:
        """For metrics.json: the number of keyframes of each part, and of those whose video is missing."""
        counts = {"train_keyframes": len(self.train), "val_keyframes": len(self.val)}
        counts["test_keyframes"] = sum(len(part) + part.missing for part in self.test.values())
        counts["train_missing"] = self.train.missing
        counts["test_missing"] = sum(part.missing for part in self.test.values())
        return counts | {"shared_videos": self.shared}


def box_lists(params: Mapping, run_dir=None) -> Lists:
    """The lists that the parameters of notebook 32 name; without train_csv the `ava` part of the moving shapes.

    A share `val_share` of the training videos is for validation. ParameterError if only one of the training and test
    lists is given.
    """
    given = {name: params[name] and str(paths.resolve(params[name])) for name in FILES}
    source = Path(given["train_csv"]).name
    if not given["train_csv"]:
        folder = shapes.build(shapes.Shapes(parts=("ava",), seed=SEED, untrimmed=params["num_videos"]))
        files = {"train_csv": "ava_train.csv", "test_csv": "ava_val.csv", "video_root": "untrimmed", "actions": "ava_actions.pbtxt"}  # fmt: skip
        given |= {name: str(folder / file) for name, file in files.items()}
        given["test_excluded"], source = str(folder / "ava_val_excluded_timestamps.csv"), "moving shapes"
    elif not given["test_csv"] or not given["video_root"]:
        raise ParameterError("test_csv, video_root: a train_csv of your own needs both")
    names, scored = _classes(given["actions"], given["scored_actions"])
    how = {name: params[name] for name in ("first_second", "whole_seconds", "max_bad")} | {"run_dir": run_dir}
    train = [keyframes.read_box_set(given["train_csv"], given["video_root"], names, **how)]
    test = {
        "ava": keyframes.read_box_set(
            given["test_csv"], given["video_root"], names, excluded=given["test_excluded"], **how
        )
    }
    if given["kinetics_train_csv"]:
        train.append(keyframes.read_box_set(given["kinetics_train_csv"], given["kinetics_root"], names, **how))
    if given["kinetics_test_csv"]:
        test["kinetics"] = keyframes.read_box_set(given["kinetics_test_csv"], given["kinetics_root"], names, **how)
    return _parted(_joined(train), test, params["val_share"], names, scored, source)


def _classes(actions: str, scored: str) -> tuple[dict[int, str], list[int]]:
    every = {each.id: each.name for each in formats.read_ava_actions(actions)} if actions else {}
    names = every or {number: str(number) for number in range(1, CLASSES + 1)}
    counted = {each.id: each.name for each in formats.read_ava_actions(scored)} if scored else names
    if unknown := sorted(counted.keys() - names.keys()):
        raise ParameterError(f"scored_actions: the list of actions has no {unknown[0]}")
    return names | {number: name for number, name in counted.items() if not every}, sorted(counted)


def _joined(sets: list[BoxSet]) -> BoxSet:
    every = [keyframe for part in sets for keyframe in part.keyframes]
    videos = frozenset().union(*(part.videos for part in sets))
    missing = sum(part.missing for part in sets)
    return replace(sets[0], keyframes=every, truth=Boxes.together([part.truth for part in sets]), videos=videos, missing=missing)  # fmt: skip


def _parted(train: BoxSet, test: dict[str, BoxSet], share: float, names, scored, source: str) -> Lists:
    tested = {keyframe.path for part in test.values() for keyframe in part.keyframes}
    paths = sorted({keyframe.path for keyframe in train.keyframes})
    own = [path for path in paths if path not in tested]
    held_out = set(own[:: max(2, round(1 / share))])
    parts = [train.of_videos(chosen) for chosen in (lambda p: p in set(own) - held_out, held_out.__contains__)]
    if not all(map(len, parts)):
        raise ParameterError(f"train_csv: {len(own)} videos that are not tested on; two are needed, one for choices")
    return Lists(*parts, test, names, scored, source, len(paths) - len(own))


@dataclass(frozen=True)
class Showing:
    """How keyframes are shown to the model: size of their clips in frames and pixels, and where decoded clips are kept.

    frame_order, region: see `KeyframeClips`. frames: function that picks the frames of a keyframe's clip.
    """

    num_frames: int
    stride: int
    height: int
    width: int
    in_memory: bool = False
    strict: bool = False
    max_bad: float | None = None
    run_dir: Path | None = None
    frame_order: str = "ordered"
    region: str = "box"
    frames: Callable = sampling.around

    def training(self, boxes: BoxSet, seed: int, *, smallest_crop: float, flip: float, jitter: float) -> KeyframeClips:
        short_side = round(min(self.height, self.width) / smallest_crop)
        view = partial(keyframes.training_view, height=self.height, width=self.width,
                       smallest_crop=smallest_crop, flip=flip, jitter=jitter)  # fmt: skip
        return self._clips([k for k in boxes.keyframes if len(k.boxes)], view, short_side, seed=seed)

    def testing(self, boxes: BoxSet, extended: bool) -> KeyframeClips:
        """Clips without randomness. extended: boxes are a detector's and are enlarged a little."""
        view = partial(keyframes.whole_view, height=self.height, width=self.width, extended=extended)
        return self._clips(boxes.keyframes, view, min(self.height, self.width), random=False)

    def _clips(self, every: list[Keyframe], view: Callable, short_side: int, **how) -> KeyframeClips:
        sampler = partial(self.frames, num_frames=self.num_frames, stride=self.stride)
        if self.in_memory:
            bad = BadVideos([keyframe.path for keyframe in every], 1.0, self.run_dir)
            every = keyframes.decoded(every, sampler, short_side, bad, self.strict)
        reading = {"max_bad": self.max_bad, "run_dir": self.run_dir, "strict": self.strict}
        reading |= {"frame_order": self.frame_order, "region": self.region}
        return KeyframeClips(every, sampler, view, short_side, **reading, **how)


class _Readable:
    """The clips as a map-style dataset; an unreadable clip gives a VideoError instead."""

    def __init__(self, clips: KeyframeClips):
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict | VideoError:
        try:
            return self.clips.item(index)
        except VideoError as error:
            return error


def by_batches(function: Callable[[list], Any], clips: KeyframeClips, unread: set[str], batch_size: int = 32, num_workers: int = 0) -> Iterator:  # fmt: skip
    """function([(keyframe, item), …]) for each batch of readable clips, in order and on every rank; ranks share the
    work, see `ivcore.distributed_evaluation`.

    Adds the names of unreadable keyframes to `unread`. UserError if there are more of them than max_bad allows.
    """
    parts = [range(begin, min(begin + batch_size, len(clips))) for begin in range(0, len(clips), batch_size)]

    def done(part: tuple) -> tuple:
        """(the function's result for a batch, the (name, error) pairs of its unreadable clips)."""
        both = [(clips.records[row], item) for row, item in zip(*part)]
        bad = [(keyframe.name, item) for keyframe, item in both if isinstance(item, VideoError)]
        for _, error in bad:
            clips.bad.note(error)  # lists it, so that the other ranks find it there
        return function([each for each in both if not isinstance(each[1], VideoError)]), bad

    mine = [parts[number] for number in distributed_evaluation.own(len(parts))]
    items = DataLoader(_Readable(clips), batch_sampler=mine, collate_fn=list, num_workers=num_workers) if mine else ()
    for result, bad in distributed_evaluation.in_turns(done, zip(mine, items), len(parts)):
        for name, error in bad:
            unread.add(name)
            clips.bad.note(error)
        yield result
    clips.bad.refuse_too_many()  # a score on the few remaining clips would be too favourable


@torch.inference_mode()
def found_by(
    model, clips: KeyframeClips, *, batch_size: int = 32, num_workers: int = 0, precision: str = "fp32"
) -> tuple[Boxes, set[str]]:
    """Every action in every box of the keyframes, with a score in (0, 1), and the names of the unreadable keyframes.

    Boxes are returned as given, without the enlargement. UserError if more videos are unreadable than max_bad allows.
    """
    model.eval()
    device, unread = next(model.parameters()).device, set()

    def found(read: list) -> tuple | None:
        """(names, boxes, scores) of a batch, None if it has no box."""
        good = [(keyframe, item) for keyframe, item in read if len(item["boxes"])]
        if not good:
            return None
        batch = keyframes.collate([item for _, item in good])
        with autocast(device, precision):
            logits = model(model.prepare(batch["video"].to(device)), batch["boxes"].to(device), batch["there"])
        names = [k.name for k, _ in good for _ in k.boxes]
        return names, np.concatenate([k.boxes for k, _ in good]), logits.float().sigmoid().cpu().numpy()

    columns = [each for each in by_batches(found, clips, unread, batch_size, num_workers) if each is not None]
    return _every_action(columns), unread


def _every_action(columns: list[tuple]) -> Boxes:
    """Boxes for every action, from (names, boxes, scores (n, K)) of each batch."""
    if not columns:
        return Boxes([], [], [], [])
    names, boxes, scores = (np.concatenate(column) for column in zip(*columns))
    count = scores.shape[1]
    labels = np.tile(np.arange(1, count + 1), len(names))
    return Boxes(names.repeat(count), boxes.repeat(count, 0), labels, scores.reshape(-1))


def scored(parts: Mapping[str, tuple[Boxes, Boxes]], actions: list[int]) -> dict[str, FrameScores]:
    """source -> its scores, from source -> (truth, found); with several sources also "all", over all keyframes
    together.
    """
    both = {"all": tuple(map(Boxes.together, zip(*parts.values())))} if len(parts) > 1 else {}
    return {name: frame_scores(*pair, actions) for name, pair in (dict(parts) | both).items()}


def stand_in_detector(
    boxes: BoxSet, folder: Path, *, misplaced: float, missed: float, seed: int = 0
) -> list[formats.PersonBox]:
    """A simulated detector for videos without one: writes a detector's file to `folder` and reads it back. It has the
    true boxes, misplaced and sometimes missing, and some wrong ones.

    misplaced: standard deviation of each side, as a share of the box. missed: share of the true boxes that are missing,
    and of the keyframes that get a wrong box.
    """
    rng, people = np.random.default_rng(seed), []
    images = {row: formats.AvaImage(*_second(k.name), 1000, 1000) for row, k in enumerate(boxes.keyframes)}
    for keyframe, image in zip(boxes.keyframes, images.values()):
        sides = np.tile(keyframe.boxes[:, 2:] - keyframe.boxes[:, :2], 2)
        moved = keyframe.boxes + misplaced * sides * rng.standard_normal(keyframe.boxes.shape)
        moved = moved[rng.random(len(moved)) >= missed]
        wrong = np.sort(rng.random((int(rng.random() < missed), 2, 2)), 1).reshape(-1, 4)
        for box, score in (*((b, 0.99) for b in moved), *((b, 0.85) for b in wrong)):
            x1, y1, x2, y2 = box.clip(0, 1)
            if x2 - x1 > 0.01 and y2 - y1 > 0.01:
                people.append(formats.PersonBox(image.movie, image.timestamp, (x1, y1, x2, y2), score))
    file = folder / "detector.json"
    formats.write_ava_detections(file, images, people)
    return formats.read_ava_detections(file, images)


def boxes_to_test(lists: Lists, params: Mapping, folder: Path) -> tuple[dict[str, BoxSet], int]:
    """The test sets with the boxes of the parameter `detector`, and the number of boxes in its file whose videos are
    not in the test set.

    truth: the true boxes; stand_in: see `stand_in_detector`; file: test_boxes and kinetics_boxes; torchvision: see
    `heads.person_detector`. ParameterError if a file is missing.
    """
    if params["detector"] == "truth":
        return lists.test, 0
    tested, others = {}, 0
    detector = PersonDetector(params["detector_weights"]) if params["detector"] == "torchvision" else None
    for name, boxes in lists.test.items():
        if detector is not None:
            people = detected(detector, boxes)
        elif params["detector"] == "stand_in":
            people = stand_in_detector(boxes, folder, misplaced=params["misplaced"], missed=params["missed"])
        else:
            people = _people("test" if name == "ava" else name, params)
        tested[name], more = keyframes.with_detections(
            boxes, people, params["least_score"], whole_seconds=params["whole_seconds"]
        )
        others += more
    return tested, others


def _people(name: str, params: Mapping) -> list[formats.PersonBox]:
    file, images = params[f"{name}_boxes"], params[f"{name}_images"]
    if not file:
        raise ParameterError(f"{name}_boxes: detector = file needs a detector's file")
    listed = formats.read_ava_images(paths.resolve(images)) if images else None
    people = formats.read_ava_detections(paths.resolve(file), listed)
    if not any(person.video_id for person in people):
        raise ParameterError(f"{name}_images: {file} numbers its pictures, and a JSON that lists them must be given")
    return people


def found_and_true(model, clips: Mapping[str, KeyframeClips], lists: Lists, **how) -> tuple[dict[str, tuple[Boxes, Boxes]], int]:  # fmt: skip
    """(name -> (truth, found) of every test set, on its readable keyframes; number of unreadable ones). how: arguments
    of `found_by`.
    """
    parts, missed = {}, 0
    for name, each in clips.items():
        found, unread = found_by(model, each, **how)
        parts[name], missed = (lists.test[name].truth.without(unread), found), missed + len(unread)
    return parts, missed


def captions(boxes: Boxes, frame: str, names: Mapping[int, str], most: int = 4) -> list[tuple]:
    """(box, text) of one keyframe, for a figure: all actions of a true box, or the likeliest action of a found box."""
    mine = boxes.take(boxes.frame == frame)
    corners, row = np.unique(mine.box, axis=0, return_inverse=True)
    items = []
    for place, box in enumerate(corners):
        here = mine.take(row.reshape(-1) == place)
        best = None if here.score is None else int(here.score.argmax())
        likeliest = "" if best is None else f"{names.get(int(here.label[best]), '?')} {here.score[best]:.2f}"
        items.append((box, likeliest or ", ".join(names[label] for label in here.label)))
    return items[:most]


def true_actions(batch: dict, row: int, names: Mapping[int, str]) -> list[tuple]:
    """(box, names of its actions) of one clip of a batch, for a figure."""
    there = batch["there"][row]
    pairs = zip(batch["boxes"][row][there].tolist(), batch["labels"][row][there])
    return [(box, ", ".join(names[place + 1] for place in actions.nonzero()[:, 0].tolist())) for box, actions in pairs]


def samples(clips: KeyframeClips, truth: Boxes, found: Boxes, names: Mapping[int, str], count: int = 8) -> tuple:
    """For `show.boxes`: pictures, true and found boxes with captions of `count` keyframes, evenly spread over the
    clips.
    """
    readable = [k for k in clips.records if np.isin(k.name, truth.frame) and len(k.boxes)]
    chosen = evenly(readable, count)
    pictures = []
    for keyframe in chosen:
        frames = keyframes.frames_around(keyframe, clips.sampler, clips.size, clips.strict)
        pictures.append(frames[len(frames) // 2])
    return pictures, *([captions(boxes, keyframe.name, names) for keyframe in chosen] for boxes in (truth, found))


def _second(name: str) -> tuple[str, float]:
    video, _, timestamp = name.rpartition(",")
    return video, float(timestamp)


def detected(detector, boxes: BoxSet) -> list[formats.PersonBox]:
    """The people that `detector` (see `heads.person_detector`) finds on the readable keyframes."""
    people = []
    for keyframe in boxes.keyframes:
        try:
            frame = keyframes.frames_around(keyframe, lambda length, centre: [centre])[0]
        except VideoError:
            continue
        corners, scores = detector.people(frame)
        people += [formats.PersonBox(*_second(keyframe.name), tuple(box), float(s)) for box, s in zip(corners, scores)]
    return people
