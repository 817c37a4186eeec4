"""Temporal localization (paper 4.3.1): features of untrimmed videos from an encoder, computed once, and the segments
that a head finds in them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ivcore import distributed, distributed_evaluation, lock, paths
from ivcore.data import sliding, untrimmed
from ivcore.data.bad_videos import BadVideos
from ivcore.data.batches import Batches, fitting
from ivcore.data.untrimmed import FeatureSequence, TrainingSequences, UntrimmedSet
from ivcore.data.video_answers import VideoModel
from ivcore.errors import ParameterError, UserError, VideoError
from ivcore.files import fingerprint
from ivcore.heads.actionformer import ActionFormer, Decoding, decode
from ivcore.heads.segment_refiner import SegmentRefiner, refiner_loss
from ivcore.losses.localization import collate
from ivcore.metrics.detection import (
    ACTIVITYNET,
    EGO4D,
    THUMOS14,
    DetectionScores,
    Events,
    detection_scores,
    distinct,
    fuse_video_scores,
    tiou,
)
from ivcore.precision import autocast
from ivcore.progress import Progress
from ivcore.run.features import Done, Store, opened
from ivcore.show.timeline import FRAMES, Timeline
from ivcore.stages.embed import shuffle_frames
from ivcore.stages.evenly import evenly
from ivcore.train import train
from ivcore.train.recipe import Recipe
from ivcore.video.frame_folder import open_video

OPEN_END = 10000.0  # steps: upper limit of the coarsest scale's range

TIOU = {"thumos14": THUMOS14, "activitynet": ACTIVITYNET, "ego4d": EGO4D}
# Settings that notebook 44 shares with every run of 31 on one-class-at-a-time segments, and so does not ask for.
MOMENTS = untrimmed.MOMENT_QUERIES | {
    "resize_to": 0, "grid_fps": 0.0, "coarsest_sees_all": False, "multiclass_nms": True, "voting": "score_iou", "voting_thresh": 0.0,
    "duration_thresh": 0.05, "tiou": "ego4d", "label_smoothing": 0.0, "loss_weight": 1.0,
}  # fmt: skip

# ---- features


def encoder_at(place, params: Mapping, device: str = "cpu") -> VideoModel:
    """The encoder at `place`, set to the windows in the parameters; num_frames, sampling_rate and image_size of 0 keep
    its own.
    """
    model = VideoModel.load(str(place), device)
    own = {name: params[name] for name in ("num_frames", "sampling_rate", "image_size") if params[name]}
    used = replace(model.usage, frame_sampling="dense", **own)
    model.model.resize_positions(used.num_frames, used.image_size)
    return replace(model, usage=used)


def shuffled(model: VideoModel, video: str) -> Callable[[Tensor], Tensor]:
    """`model.features` of clips with separately shuffled frames; the order is reproducible for each video."""
    generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(video.encode()).digest()[:6], "big"))

    def function(clips: Tensor) -> Tensor:
        mixed = torch.cat([shuffle_frames(clip[None], generator) for clip in clips.cpu()])
        return model.features(mixed.to(clips.device))

    return function


def encoded(
    videos: UntrimmedSet, model: VideoModel, stride: int, *, order: str = "ordered", agnostic: bool = False,
    strict: bool = False, max_bad: float | None = None, run_dir=None, precision: str = "fp32",
) -> list[FeatureSequence]:  # fmt: skip
    """The features of every readable video, from the cache if they are there. order: ordered, or shuffled within each
    window.

    Ranks share the videos, see `ivcore.distributed_evaluation`; rank 0 holds the cache. UserError if more than `max_bad` of the videos
    are unreadable; bad_videos.jsonl lists them.
    """
    moving = sliding.of_usage(model, stride)
    settings = {"weights": model.digest, "size": model.usage.image_size, **vars(moving), "order": order}
    settings |= {"drawn": "for each video"} if order == "shuffled" else {}
    settings |= {"precision": precision} if precision != "fp32" else {}
    place = Path(videos.videos[0].path).parent
    digest = hashlib.sha256(json.dumps([str(place.resolve()), settings]).encode()).hexdigest()[:12]
    folder = paths.cache() / "features" / digest
    first = distributed.rank() == 0
    bad = BadVideos([video.path for video in videos.videos], max_bad, run_dir if first else None)
    store = Store(folder, place, "npy")
    if first:
        folder.mkdir(parents=True, exist_ok=True)
    with lock.held(folder, wait=True) if first else nullcontext():
        places = distributed.broadcast_object(lambda: _lacking(store, settings, videos))
        todo = [videos.videos[place] for place in places]
        _fill(store if first else None, todo, model, moving, order, strict, bad, precision)
    there = distributed.broadcast_object(lambda: [n for n, v in enumerate(videos.videos) if store.has(v.path)])
    sequence = lambda video: _sequence(store, store.done[video.path], video, videos.classes, agnostic)  # noqa: E731
    return [distributed.broadcast_object(partial(sequence, videos.videos[number])) for number in there]


def _lacking(store: Store, settings: dict, videos: UntrimmedSet) -> list[int]:
    """The numbers of the videos without complete features in the store. Claims the store."""
    store.claim(settings, None)
    whole = {v.path for v in videos.videos if store.has(v.path) and store.load(store.done[v.path]) is not None}
    return [number for number, video in enumerate(videos.videos) if video.path not in whole]


def _fill(
    store: Store | None, todo: list, model: VideoModel, moving, order: str, strict: bool, bad: BadVideos, precision: str
) -> None:
    """Computes the features of the videos in `todo`. store: only on rank 0, which writes them."""

    def answered(video) -> tuple:
        state = fingerprint(video.path)
        function = model.features if order == "ordered" else shuffled(model, video.id)
        with autocast(next(model.model.parameters()).device, precision):
            ((_, answer),) = sliding.answers(function, model, [video], moving, strict)
        return state, answer

    mine = (todo[number] for number in distributed_evaluation.own(len(todo)))
    with Progress(len(todo), "features", unit="video", silent=store is None or not todo) as bar:
        for done, (state, answer) in enumerate(distributed_evaluation.in_turns(answered, mine, len(todo)), 1):
            if isinstance(answer, VideoError):
                bad.add(answer)
            elif store is not None:
                store.put(todo[done - 1].path, state, answer.values[:, 0].numpy(), answer.windows)
            bar.update(done)


def _sequence(store: Store, done: Done, video, classes: Sequence[str], agnostic: bool) -> FeatureSequence:
    centres = [(window.start + window.end) / 2 for window in done.windows]
    last = done.windows[-1]
    step = (centres[-1] - centres[0]) / (len(centres) - 1) if len(centres) > 1 else last.end - last.start
    if (features := store.load(done)) is None:
        raise UserError(f"{store.folder / done.file}: was damaged, and is removed")
    return untrimmed.sequence(video, features, centres[0], step, video.duration or last.end + step, classes, agnostic)


def published(
    videos: UntrimmedSet, folder: str, stride: int, span: int, fps: float = 0.0, *, agnostic: bool = False, max_bad: float | None = None, run_dir=None
) -> list[FeatureSequence]:  # fmt: skip
    """Features from .npy files computed elsewhere, see `untrimmed.published_features`, or from a folder written by `iv
    features --every`, which stores the time of each feature. UserError if it has none of the videos.
    """
    bad, found, store = BadVideos([video.path for video in videos.videos], max_bad, run_dir), [], opened(folder)
    by_name = {os.path.basename(name): done for name, done in store.done.items()} if store else {}
    for video in videos.videos:
        try:
            if store is None:
                features = untrimmed.published_features(folder, video, stride, span, fps)
                found.append(untrimmed.sequence(video, *features, videos.classes, agnostic))
            elif done := by_name.get(os.path.basename(video.path)):
                found.append(_sequence(store, done, video, videos.classes, agnostic))
            else:
                raise UserError(f"{store.folder}: has no features of {os.path.basename(video.path)}")
        except ParameterError:
            raise
        except UserError as error:
            bad.add(VideoError(video.path, str(error)))
    if not found:
        raise UserError(f"features: {folder} has none of the {len(videos)} videos, {bad.example()}")
    return found


def sequences(sets: Sequence[UntrimmedSet], params: Mapping, model: VideoModel | None, order: str, run_dir=None) -> list[list[FeatureSequence]]:  # fmt: skip
    """The features of each set: from `model`, or without one from the folder `features`."""
    how = {"agnostic": params["class_agnostic"], "max_bad": params["max_bad"], "run_dir": run_dir}
    stride = max(params["feature_stride"], 1)
    if model is None:
        moving = sliding.Sliding(params["num_frames"] or 16, stride, params["sampling_rate"] or 1)
        folder = str(paths.resolve(params["features"]))
        given = params["feature_stride"], moving.span, params["default_fps"]
        found = [published(each, folder, *given, **how) for each in sets]
    else:
        moving = sliding.of_usage(model, stride)
        how |= {"strict": params["strict_decoding"], "order": order, "precision": params["precision"]}
        found = [encoded(each, model, stride, **how) for each in sets]
    if length := params["resize_to"]:
        found = [[each.resized(length) for each in part] for part in found]
    if fps := params["grid_fps"]:
        found = [[_at(each, fps, moving) for each in part] for part in found]
    return found


def _at(each: FeatureSequence, fps: float, moving) -> FeatureSequence:
    """Interpolates to the number and times of the windows that the video has at `fps` frames a second."""
    return each.resized(moving.count(round(each.duration * fps)), 0.5 * moving.span / fps, moving.stride / fps)


# ---- the head


def head(channels: int, classes: int, params: Mapping) -> ActionFormer:
    """An ActionFormer with the sizes in the parameters; the range of segment lengths doubles from scale to scale."""
    levels = params["levels"]
    ends = [0.0, *(2.0 ** (level + 1) for level in range(1, levels)), OPEN_END]
    ranges = [list(pair) for pair in pairwise(ends)]
    windows = [params["n_mha_win_size"]] * (levels - 1) + [-1 if params["coarsest_sees_all"] else params["n_mha_win_size"]]  # fmt: skip
    names = ("embd_dim", "n_head", "use_abs_pe", "max_seq_len", "init_loss_norm")
    return ActionFormer(
        channels, 1 if params["class_agnostic"] else classes, backbone_arch=(2, 2, levels - 1), n_mha_win_size=windows,
        regression_range=ranges, droppath=params["drop_path"], dropout=params["dropout"], **{name: params[name] for name in names},
    )  # fmt: skip


def training_batches(model: ActionFormer | None, examples: Sequence[FeatureSequence], params: Mapping) -> Batches:
    """Batches for `losses.localization`; without a model, lists of items for a refiner."""
    joined = list if model is None else partial(collate, model)
    source = TrainingSequences(examples, joined, params["max_seq_len"], params["seed"], crop=params["crop_ratio"])
    return Batches(source, fitting(params["batch_size"], len(examples)), params["seed"])


def refiner(examples: Sequence[FeatureSequence], params: Mapping, folder: Path, device: str = "cpu") -> SegmentRefiner:
    """A refiner trained for refine_steps steps on randomly moved true segments."""
    model = SegmentRefiner(examples[0].features.shape[1]).to(device)
    batches, steps = training_batches(None, examples, params), params["refine_steps"]
    size = batches.batch_size
    recipe = Recipe(batch_size=size, lr=1e-3, steps=steps, warmup_steps=steps // 10, clip_grad=1.0, seed=params["seed"])  # fmt: skip
    train(model, refiner_loss, batches, recipe, folder)
    return model


def decoding_of(params: Mapping) -> Decoding:
    """A `Decoding` from the parameters with its fields' names."""
    return Decoding(**{field.name: params[field.name] for field in fields(Decoding) if field.name in params})


# ---- predictions


def truth(
    examples: Sequence[FeatureSequence], videos: UntrimmedSet, agnostic: bool = False, every: bool = False
) -> Events:
    """The true segments, labelled as in `videos.classes`, of the videos that have features, or of `every` video.
    agnostic: all labels are 0.
    """
    number, there = {name: label for label, name in enumerate(videos.classes)}, {each.id for each in examples}
    counted = [video for video in videos.videos if every or video.id in there]
    rows = [(v.id, (s.start, s.end), number[s.label]) for v in counted for s in v.segments]
    names, segments, labels = zip(*rows) if rows else ((), (), ())
    return distinct(Events(names, np.array(segments), np.zeros(len(labels)) if agnostic else labels))


@torch.inference_mode()
def found(
    model: nn.Module, examples: Sequence[FeatureSequence], how: Decoding, video_scores: Mapping | None = None, precision: str = "fp32"
) -> Events:  # fmt: skip
    """The segments that an ActionFormer finds in each video, in seconds; ranks share the work, see `ivcore.distributed_evaluation`. Puts
    the model into eval mode.

    video_scores: class scores by a classifier of whole videos, which give the segments their classes. ParameterError
    for a video without scores.
    """
    model.eval()
    device = next(model.parameters()).device

    def of_video(example: FeatureSequence) -> tuple:
        features, mask = model.pad([example.features])
        with autocast(device, precision):
            moments = model(features.to(device), mask.to(device))
        ((grid, scores, labels),) = decode(moments, how)
        return np.full(len(scores), example.id, object), example.in_seconds(grid), labels.numpy(), scores.numpy()

    mine = (examples[number] for number in distributed_evaluation.own(len(examples)))
    parts = distributed_evaluation.in_turns(of_video, mine, len(examples))
    events = Events(*(np.concatenate(column) for column in zip(*parts)))
    return fuse_video_scores(events, video_scores, segments=how.max_seg_num) if video_scores else events


def scored(
    model: nn.Module, examples: Sequence[FeatureSequence], videos: UntrimmedSet, params: Mapping, video_scores: Mapping | None = None,
    *, final: bool = False, refiner: SegmentRefiner | None = None,
) -> tuple[DetectionScores, Events]:  # fmt: skip
    """(scores, found segments) on these videos, with the settings in `params`.

    If there are `video_scores`, they give the segments their classes; class-agnostic segments need them. Released files
    have none for the validation videos: without scores the head gives the classes, and class-agnostic segments are
    scored as one class. With Ego4D's measure (`tiou`), the segments of an unreadable video count as missed; the other
    measures leave the video out. final: ParameterError for a video without the scores it needs. refiner: moves the ends
    of the found segments.
    """
    agnostic, video_scores = params["class_agnostic"], video_scores or {}
    asked = bool(video_scores) or (agnostic and len(videos.classes) > 1)
    lack = [each.id for each in examples if asked and each.id not in video_scores]
    if lack and final:
        why = "class_agnostic = True needs them, and " * agnostic
        raise ParameterError(f"video_scores: {why}{len(lack)} test videos have none, e.g. {lack[0]}")
    joined = video_scores if asked and not lack else None
    events = found(model, examples, decoding_of(params), joined, params["precision"])
    if refiner is not None:
        events = refined(refiner, events, examples)
    real = truth(examples, videos, agnostic and bool(lack), every=params["tiou"] == "ego4d")
    return detection_scores(real, events, TIOU[params["tiou"]]), events


@torch.inference_mode()
def refined(refiner: SegmentRefiner, events: Events, examples: Sequence[FeatureSequence]) -> Events:
    """The events with ends moved by the refiner's last stage, and scores multiplied by its estimate of the fit."""
    refiner.eval()
    device, segment, score = next(refiner.parameters()).device, events.segment.copy(), events.score.copy()
    for example in examples:
        rows = np.flatnonzero(events.video == example.id)
        if len(rows):
            moved, fit = refiner(example.features.to(device), example.on_grid(segment[rows]).float().to(device))[-1]
            segment[rows] = example.in_seconds(moved.cpu())
            score[rows] *= fit.sigmoid().cpu().double().numpy()
    return replace(events, segment=segment, score=score)


@torch.inference_mode()
def class_curves(model: nn.Module, example: FeatureSequence) -> tuple[np.ndarray, np.ndarray]:
    """(seconds (T,), highest score of each class (T, K)) over the scales, at the moments of the finest: for a figure."""
    features, mask = model.pad([example.features])
    device = next(model.parameters()).device
    moments = model.eval()(features.to(device), mask.to(device))
    scales = moments.logits[0].sigmoid().cpu().split(moments.sizes)
    length = len(example.features)
    fine = [part.repeat_interleave(2**level, 0)[:length] for level, part in enumerate(scales)]
    return example.first + example.step * np.arange(length), torch.stack(fine).amax(0).numpy()


def timelines_of(
    model: nn.Module, examples: Sequence[FeatureSequence], videos: UntrimmedSet, events: Events, count: int = 2, frames: bool = True
) -> list[Timeline]:  # fmt: skip
    """`count` videos, evenly spread over the set, for a figure; it shows two more found segments than there are true
    ones.
    """
    listed = {video.id: video for video in videos.videos}
    some = [each for each in examples if listed[each.id].segments]
    return [_timeline(model, each, listed[each.id], videos.classes, events, frames) for each in evenly(some, count)]


def _timeline(model: nn.Module, example: FeatureSequence, video, classes: Sequence[str], events: Events, frames: bool) -> Timeline:  # fmt: skip
    true = [(s.start, s.end, s.label) for s in sorted(video.segments, key=lambda s: s.start)]
    mine = events.take(np.flatnonzero(events.video == video.id))
    mine = mine.take(np.argsort(-mine.score, kind="stable")[: len(true) + 2])
    found_rows = []
    for (start, end), label, score in zip(mine.segment, mine.label, mine.score):
        same = np.array([row[:2] for row in true if row[2] == classes[label]]).reshape(-1, 2)
        right = bool((tiou(np.array([[start, end]]), same) >= 0.5).any())
        found_rows.append((start, end, classes[label], score, right))
    seconds, scores = class_curves(model, example)
    strip = pictures(video.path) if frames else ()
    return Timeline(video.id, example.duration, true, found_rows, seconds, scores.max(1), strip)


def pictures(path: str) -> Sequence[np.ndarray]:
    with open_video(path, 64) as video:
        places = ((np.arange(FRAMES) + 0.5) / FRAMES * len(video)).astype(int)
        return list(video.read(places))
