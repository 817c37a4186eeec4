"""Temporal localization: features of untrimmed videos from an encoder, computed once, and what a head finds in them (paper 4.3.1)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ivcore import lock, paths
from ivcore.data import sliding, untrimmed
from ivcore.data.bad_videos import BadVideos
from ivcore.data.untrimmed import FeatureSequence, UntrimmedSet
from ivcore.data.video_answers import VideoModel
from ivcore.errors import UserError, VideoError
from ivcore.heads.actionformer import Decoding, decode
from ivcore.metrics.detection import Events, distinct
from ivcore.progress import Progress
from ivcore.run.features import Store, state_of
from ivcore.stages.embed import shuffle_frames


def shuffled(model: VideoModel, seed: int) -> Callable[[Tensor], Tensor]:
    """`model.features` of clips whose frames are in a random order of their own."""
    generator = torch.Generator().manual_seed(seed)
    return lambda clips: model.features(shuffle_frames(clips.cpu(), generator).to(clips.device))


def encoded(
    videos: UntrimmedSet, model: VideoModel, moving: sliding.Sliding, *, order: str = "ordered", seed: int = 0, agnostic: bool = False,
    strict: bool = False, max_bad: float | None = None, run_dir=None,
) -> list[FeatureSequence]:  # fmt: skip
    """The features of every video that can be read, from the cache where they are there. order: ordered, or shuffled within each window.

    UserError where more than `max_bad` of the videos cannot be read; they are listed in bad_videos.jsonl.
    """
    settings = {"weights": model.digest, "size": model.usage.image_size, **vars(moving), "order": order}
    settings |= {"seed": seed} if order == "shuffled" else {}
    place = Path(videos.videos[0].path).parent
    digest = hashlib.sha256(json.dumps([str(place.resolve()), settings]).encode()).hexdigest()[:12]
    folder = paths.cache() / "features" / digest
    folder.mkdir(parents=True, exist_ok=True)
    bad = BadVideos([video.path for video in videos.videos], max_bad, run_dir)
    with lock.held(folder, wait=True):
        store = Store(folder, place, "npy")
        store.claim(settings, None)
        function = model.features if order == "ordered" else shuffled(model, seed)
        _fill(
            store, [video for video in videos.videos if not store.has(video.path)], function, model, moving, strict, bad
        )
    return [_sequence(store, video, videos.classes, agnostic) for video in videos.videos if store.has(video.path)]


def _fill(store: Store, todo: list, function, model: VideoModel, moving, strict: bool, bad: BadVideos) -> None:
    states = [state_of(video.path) for video in todo]
    with Progress(len(todo), "features", unit="video", silent=not todo) as bar:
        for index, answer in sliding.answers(function, model, todo, moving, strict):
            if isinstance(answer, VideoError):
                bad.add(answer)
            else:
                store.put(todo[index].path, states[index], answer.values[:, 0].numpy(), answer.windows)
            bar.update(index + 1)


def _sequence(store: Store, video, classes: Sequence[str], agnostic: bool) -> FeatureSequence:
    done = store.done[video.path]
    centres = [(window.start + window.end) / 2 for window in done.windows]
    last = done.windows[-1]
    step = (centres[-1] - centres[0]) / (len(centres) - 1) if len(centres) > 1 else last.end - last.start
    features = np.load(store.folder / done.file)
    return untrimmed.sequence(video, features, centres[0], step, video.duration or last.end + step, classes, agnostic)


def published(
    videos: UntrimmedSet, folder: str, stride: int, span: int, fps: float = 30.0, *, agnostic: bool = False, max_bad: float | None = None, run_dir=None
) -> list[FeatureSequence]:  # fmt: skip
    """The same from .npy files that somebody else has computed, see `untrimmed.published_features`."""
    bad, found = BadVideos([video.path for video in videos.videos], max_bad, run_dir), []
    for video in videos.videos:
        try:
            features = untrimmed.published_features(folder, video, stride, span, fps)
            found.append(untrimmed.sequence(video, *features, videos.classes, agnostic))
        except UserError as error:
            bad.add(VideoError(video.path, str(error)))
    return found


def truth(sequences: Sequence[FeatureSequence], videos: UntrimmedSet) -> Events:
    """The segments to find, with the labels of `videos.classes`, of the videos that have features."""
    number, there = {name: label for label, name in enumerate(videos.classes)}, {sequence.id for sequence in sequences}
    rows = [(v.id, (s.start, s.end), number[s.label]) for v in videos.videos if v.id in there for s in v.segments]
    names, segments, labels = zip(*rows) if rows else ((), (), ())
    return distinct(Events(names, np.array(segments), labels))


@torch.inference_mode()
def found(model: nn.Module, sequences: Sequence[FeatureSequence], how: Decoding) -> Events:
    """What an ActionFormer finds in each video, in seconds. Puts the model into eval mode."""
    model.eval()
    device, parts = next(model.parameters()).device, []
    for sequence in sequences:
        features, mask = model.pad([sequence.features])
        ((grid, scores, labels),) = decode(model(features.to(device), mask.to(device)), how)
        parts.append(
            (np.full(len(scores), sequence.id, object), sequence.in_seconds(grid), labels.numpy(), scores.numpy())
        )
    return Events(*(np.concatenate(column) for column in zip(*parts)))
