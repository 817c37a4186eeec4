"""The order of distant events in long videos (beyond the paper, see its 5.1): questions about single or joined videos,
and the heads that answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore import distributed_evaluation
from ivcore.data import one_pass, untrimmed
from ivcore.data.batches import Batches, fitting
from ivcore.data.untrimmed import FeatureSequence, UntrimmedSet
from ivcore.data.video_answers import VideoModel
from ivcore.errors import UserError
from ivcore.heads.event_order import EventOrder, first_logits, order_loss
from ivcore.stages import temporal_localization
from ivcore.stages.recipe import recipe_of
from ivcore.train import train
from ivcore.video.frame_folder import open_video

FEW = 20  # pairs needed to report a share
ASKED = 32  # pairs of a training video in a step, at most
FIXED = {"data": "", "release": "", "features": "", "video_scores": "", "class_agnostic": False, "num_frames": 0, "sampling_rate": 0, "image_size": 0,
         "resize_to": 0, "grid_fps": 0.0, "default_fps": 0.0}  # fmt: skip


def sequences(params: Mapping, model: VideoModel, run_dir=None) -> tuple[list[UntrimmedSet], list[list[FeatureSequence]]]:  # fmt: skip
    """Training, validation and test videos and their features, which are cached, see `temporal_localization.sequences`."""
    params = FIXED | dict(params)
    sets, _ = untrimmed.untrimmed_splits(params, run_dir)
    return sets, temporal_localization.sequences(sets, params, model, "ordered", run_dir)


# ---- the questions


@dataclass(frozen=True)
class OrderQuestions:
    """Questions about a video, or about several joined ones, with features (T, C).

    For every two classes that happen exactly once: pairs int (P, 2), the classes; first bool (P,), whether the first of
    the pair happens first; apart (P,), seconds between them. shown int (T,): the class, among those that happen once,
    whose event contains the middle of the window; -1 for none.
    """

    def shuffled(self, rng: np.random.Generator) -> OrderQuestions:
        """The same windows in random order."""
        order = torch.from_numpy(rng.permutation(len(self.features)))
        return replace(self, features=self.features[order], shown=self.shown[order])

    features: Tensor
    pairs: np.ndarray
    first: np.ndarray
    apart: np.ndarray
    duration: float
    shown: Tensor


def joined(videos: Sequence[FeatureSequence]) -> OrderQuestions:
    """Joins these videos one after the other. The result may have no pairs."""
    begins = np.cumsum([0.0, *(video.duration for video in videos)])
    starts = np.concatenate([begin + video.segments[:, 0] for begin, video in zip(begins, videos)])
    labels = np.concatenate([video.labels for video in videos])
    when = {label: starts[labels == label].item() for label, count in Counter(labels.tolist()).items() if count == 1}
    pairs = list(combinations(sorted(when), 2))
    apart = np.array([when[b] - when[a] for a, b in pairs])
    shown = torch.cat([_shown(video, when) for video in videos])
    features = torch.cat([video.features for video in videos])
    return OrderQuestions(
        features, np.array(pairs, np.int64).reshape(-1, 2), apart > 0, np.abs(apart), float(begins[-1]), shown
    )


def _shown(video: FeatureSequence, once: Mapping) -> Tensor:
    middles, shown = video.first + video.step * np.arange(len(video.features)), torch.full((len(video.features),), -1)
    for (start, end), label in zip(video.segments, video.labels):
        if label in once:
            shown[torch.from_numpy((middles >= start) & (middles < end))] = int(label)
    return shown


def groups(videos: Sequence[FeatureSequence], each: int, count: int, seed: int) -> list[OrderQuestions]:
    """`count` long videos, each of `each` videos drawn at random and joined; if `each` is 1, every video. UserError if
    there are too few videos, or none has a pair.
    """
    if each > len(videos):
        raise UserError(f"tested_lengths: {each} videos cannot be joined, there are {len(videos)}")
    if each == 1:
        drawn = [[video] for video in videos]
    else:
        rng = np.random.default_rng((seed, each))
        drawn = [[videos[i] for i in rng.permutation(len(videos))[:each]] for _ in range(count)]
    found = [asked for asked in map(joined, drawn) if len(asked.pairs)]
    if not found:
        raise UserError(f"{len(videos)} videos: in none of them do two classes happen once, so no order can be asked")
    return found


class Joins:
    """Training videos for `Batches`: each is joined with random others to one of `lengths` videos in all; all lengths
    are equally likely.
    """

    def __init__(self, videos: Sequence[FeatureSequence], lengths: Sequence[int], seed: int, shuffled: bool = False):
        self.videos = [video for video in videos if len(joined([video]).pairs)]
        self.lengths, self.seed, self.shuffled = lengths, seed, shuffled
        if not self.videos:
            raise UserError(f"{len(videos)} training videos: in none of them do two classes happen once")
        if max(lengths) > len(self.videos):
            raise UserError(
                f"trained_lengths: {max(lengths)} videos cannot be joined, {len(self.videos)} training videos have two classes that happen once"
            )

    def __len__(self) -> int:
        return len(self.videos)

    def batch(self, indices: np.ndarray, epoch: int) -> dict:
        return collate([self.item(int(index), epoch) for index in indices])

    def item(self, index: int, epoch: int) -> OrderQuestions:
        rng = np.random.default_rng((self.seed, epoch, index))
        others = [each for each in rng.permutation(len(self.videos)) if each != index]
        chosen = [self.videos[i] for i in rng.permutation([index, *others[: rng.choice(self.lengths) - 1]])]
        asked = joined(chosen)
        if not len(asked.pairs):  # every class occurs more than once
            asked = joined([self.videos[index]])
        kept = rng.permutation(len(asked.pairs))[:ASKED]
        asked = replace(asked, pairs=asked.pairs[kept], first=asked.first[kept], apart=asked.apart[kept])
        return asked.shuffled(rng) if self.shuffled else asked


def collate(items: Sequence[OrderQuestions]) -> dict:
    """A batch for `heads.event_order.order_loss`, padded with zeros; `shown` is padded with -1."""
    length, most = max(len(item.features) for item in items), max(len(item.pairs) for item in items)
    pad = lambda values, size, fill=0: F.pad(values, (0, 0) * (values.dim() - 1) + (0, size - len(values)), value=fill)  # noqa: E731
    return {
        "features": torch.stack([pad(item.features, length) for item in items]),
        "mask": torch.stack([pad(torch.ones(len(item.features), dtype=torch.bool), length) for item in items]),
        "pairs": torch.stack([pad(torch.from_numpy(item.pairs), most) for item in items]),
        "first": torch.stack([pad(torch.from_numpy(item.first), most) for item in items]),
        "shown": torch.stack([pad(item.shown, length, -1) for item in items]),
        "asked": torch.stack([pad(torch.ones(len(item.pairs), dtype=torch.bool), most) for item in items]),
    }


# ---- the heads


def trained(examples: Sequence[FeatureSequence], classes: int, params: Mapping, folder: Path, layers: int, shuffled: bool = False, pool: bool = False, device: str = "cpu") -> EventOrder:  # fmt: skip
    """A head trained on these videos, joined in `trained_lengths`."""
    torch.manual_seed(params["seed"])
    head = EventOrder(examples[0].features.shape[1], classes, params["width"], layers, params["dropout"], pool).to(device)  # fmt: skip
    source = Joins(examples, params["trained_lengths"], params["seed"], shuffled)
    batches = Batches(source, fitting(params["batch_size"], len(source)), params["seed"])
    train(head, order_loss, batches, recipe_of(params, batches), folder)
    return head


@dataclass(frozen=True)
class OrderAnswers:
    """For every pair of every video: right bool, whether the answer is right; apart, seconds between the events; video,
    its number.
    """

    right: np.ndarray
    apart: np.ndarray
    video: np.ndarray

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    @property
    def error(self) -> float:
        """Standard error, clustered by video, because pairs of one video are not independent."""
        each = np.array([self.right[self.video == video].sum() for video in np.unique(self.video)])
        size = np.array([(self.video == video).sum() for video in np.unique(self.video)])
        return float(np.sqrt(((each - self.accuracy * size) ** 2).sum()) / size.sum())


def by_distance(scores: Iterable[OrderAnswers], edges: Sequence[float] = (0, 5, 10, 20, 40, 80, 160, 320, np.inf)) -> list[tuple[float, float]]:  # fmt: skip
    """(mean seconds between the two events, share of right answers) of the pairs between two edges, for bins of at
    least FEW pairs; if no bin has that many, of all pairs together.
    """
    right, apart = (np.concatenate(columns) for columns in zip(*((each.right, each.apart) for each in scores)))
    inside = [(apart >= low) & (apart < high) for low, high in pairwise(edges)]
    told = [some for some in inside if some.sum() >= FEW] or [np.ones(len(right), bool)]
    return [(float(apart[some].mean()), float(right[some].mean())) for some in told]


@torch.inference_mode()
def answered(head: nn.Module, asked: Sequence[OrderQuestions], shuffle: bool = False, seed: int = 0) -> OrderAnswers:
    """Answers of the head. shuffle: shuffle the windows of each video, the same way each time. Ranks share the work."""
    head.eval()
    device = next(head.parameters()).device

    def right(number: int) -> np.ndarray:
        item = asked[number]
        features = (item.shuffled(np.random.default_rng((seed, number))) if shuffle else item).features
        mask = torch.ones(1, len(features), dtype=torch.bool, device=device)
        logits = first_logits(head(features[None].to(device), mask), torch.from_numpy(item.pairs)[None].to(device))[0]
        return (logits.cpu().numpy() > 0) == item.first

    told = list(distributed_evaluation.in_turns(right, distributed_evaluation.own(len(asked)), len(asked)))
    video = np.repeat(np.arange(len(asked)), [len(item.pairs) for item in asked])
    return OrderAnswers(np.concatenate(told), np.concatenate([item.apart for item in asked]), video)


# ---- the same events in another order


def backwards(video: FeatureSequence, path: str, model: VideoModel, stride: int) -> FeatureSequence:
    """Features of the video with its events in reverse order, each played forwards: the frames are cut in the middle of
    every rest.
    """
    order = np.argsort(video.segments[:, 0])
    starts, ends, labels = video.segments[order, 0], video.segments[order, 1], video.labels[order]
    cuts = np.array([0.0, *((ends[:-1] + starts[1:]) / 2), video.duration])
    with open_video(path, model.usage.image_size) as opened:
        frames = one_pass.augment.centre_crop(opened.read(np.arange(len(opened))), model.usage.image_size)
        fps = opened.fps
    edges = np.append(np.round(cuts[:-1] * fps).astype(int), len(frames))
    pieces = [frames[a:b] for a, b in pairwise(edges)][::-1]
    begins = np.cumsum([0.0, *(len(piece) / fps for piece in pieces)])[:-1]
    moved = begins - edges[:-1][::-1] / fps
    segments = np.stack((starts[::-1] + moved, ends[::-1] + moved), 1)
    features = encoded(np.concatenate(pieces), model, stride)
    return FeatureSequence(video.id, features, video.first, video.step, video.duration, segments, labels[::-1].copy())


@torch.inference_mode()
def encoded(frames: np.ndarray, model: VideoModel, stride: int) -> Tensor:
    """uint8 frames (T, size, size, 3) of a video -> features of its windows (N, C)."""
    moving = temporal_localization.sliding.of_usage(model, stride)
    starts = np.arange(moving.count(len(frames))) * stride
    index = (starts[:, None] + np.arange(moving.num_frames) * moving.sampling_rate).clip(max=len(frames) - 1)
    device = next(model.model.parameters()).device
    parts = [model.features(torch.from_numpy(frames[some]).to(device)).float().cpu() for some in np.array_split(index, -(-len(index) // 32))]  # fmt: skip
    return torch.cat(parts)


def alike(pairs: Sequence[tuple[FeatureSequence, FeatureSequence]]) -> dict[str, float]:
    """Mean cosine between the mean features of videos and of their `backwards` versions: for the same video, and for
    different videos.
    """
    means = [F.normalize(torch.stack([video.features.mean(0) for video in side]), dim=-1) for side in zip(*pairs)]
    cosines = means[0] @ means[1].T
    own = torch.eye(len(pairs), dtype=torch.bool)
    return {"same events, other order": cosines[own].mean().item(), "another video": cosines[~own].mean().item()}


def both_ways(
    head: nn.Module, pairs: Sequence[tuple[FeatureSequence, FeatureSequence]], shuffle: bool = False
) -> float:
    """Share of the questions answered correctly both for a video and for its `backwards` version, where the answer is
    the opposite.
    """
    asked = [[joined([video]) for video in side] for side in zip(*pairs)]
    kept = [n for n, each in enumerate(asked[0]) if len(each.pairs)]
    sides = [answered(head, [side[n] for n in kept], shuffle, seed) for seed, side in enumerate(asked)]
    return float((sides[0].right & sides[1].right).mean())


def described(asked: Mapping[int, Sequence[OrderQuestions]]) -> dict[int, str]:
    """Number of joined videos -> a text with their number, mean length, and number of pairs."""
    told = {}
    for number, some in asked.items():
        seconds = sum(each.duration for each in some) / len(some)
        told[number] = f"{len(some)} videos of {seconds:.0f} s, {sum(len(each.pairs) for each in some)} pairs"
    return told


def metrics(tested: Mapping[str, Mapping[int, OrderAnswers]]) -> dict[str, float]:
    """Flat metrics: mean accuracy over the lengths under each name without "windows", and as _1, _2, … that of each
    length and its standard error.
    """
    found = {}
    for name, scores in tested.items():
        short = name.removeprefix("windows ").replace("in order", "order")
        found[short] = sum(each.accuracy for each in scores.values()) / len(scores)
        found |= {f"{short}_{n}": each.accuracy for n, each in scores.items()}
        found |= {f"{short}_{n}_error": each.error for n, each in scores.items()}
    return found
