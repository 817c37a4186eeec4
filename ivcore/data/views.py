"""Multi-view testing: several clips of a video and several crops of each clip, all from one decode (paper 4.3.1: 5 x 3, 7 x 3).

An unreadable video is not scored, but counted; it is never replaced. A limit can stop the run if there are too many, because a smaller set
can be easier and give a better score. Several ranks share a set: one rank reads each video, and every rank gets the scores of all.
torch is imported only where it is needed, so processes that only decode start without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ivcore import distributed
from ivcore.data.bad_videos import BadVideos
from ivcore.data.memory import load
from ivcore.data.records import frames_of
from ivcore.errors import UserError, VideoError
from ivcore.video import augment, sampling

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 20 << 20  # most pixels of a batch: 52 clips of 8 frames of 224 x 224, for which a ViT-L keeps 9 GB


class Views:
    """Items dict(views uint8 (num_clips * num_crops, T, size, size, 3), label, path), the crops of a clip together; or a VideoError.

    videos: records (see `data.records`) with a label, files or decoded. segment: each clip has one frame from each of `num_frames` equal
    parts of the whole video; `stride` is ignored. seconds: a dense clip spans this many seconds, or most of a shorter video; replaces `stride`
    if the frame rate is known. A record's own stride goes before both. num_segments: number of frames, one from each equal part, that follow the dense frames of each
    clip, for a second encoder, in the same crop. missing: number of further videos of the set known to be missing. flaws: counts of
    `data.videos.VideoSet`. strict: as in VideoReader. max_bad: number, or as a float share, of all these that may be missing or unreadable
    (see `BadVideos`); None for any. UserError as soon as there are more, while the videos are read.
    """

    def __init__(
        self,
        videos: Sequence,
        *,
        num_frames: int = 1,
        stride: int = 1,
        seconds: float | None = None,
        size: int,
        num_clips: int = 1,
        num_crops: int = 1,
        segment: bool = False,
        num_segments: int = 0,
        missing: int = 0,
        flaws: Mapping[str, int] | None = None,
        run_dir=None,
        strict: bool = False,
        max_bad: int | float | None = None,
    ):
        self.videos, self.segment, self.num_segments = videos, segment, num_segments
        self.num_frames, self.stride, self.seconds, self.size, self.strict = num_frames, stride, seconds, size, strict
        self.num_clips, self.num_crops, self.missing, self.flaws = num_clips, num_crops, missing, flaws or {}
        self.scored: list[str] = []  # paths of the videos of the last pass, in order
        # Every rank gets the errors of all ranks; one rank writes the list.
        limit = len(videos) + missing if max_bad is None else max_bad
        self.bad = BadVideos(self.paths, limit, None if distributed.rank() else run_dir, missing)

    @property
    def paths(self) -> list[str]:
        """The file of each item."""
        return [record.path for record in self.videos]

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> dict | VideoError:
        record = self.videos[index]
        try:
            with frames_of(record, self.size, self.strict) as (length, read, fps):
                views = self.of_frames(length, read, fps, getattr(record, "stride", None))
        except VideoError as error:
            return error
        return {"views": views, "label": record.label, "path": record.path}

    def of_frames(self, length: int, read: Callable, fps: float | None = None, stride: int | None = None) -> np.ndarray:
        """The views uint8 (num_clips * num_crops, T, size, size, 3) of a video of `length` frames, `fps` a second, read by read(indices)."""
        if not stride and fps and self.seconds:
            stride = sampling.stride_of(length, fps, self.num_frames, self.seconds)
        clips = self._frames(length, stride or self.stride)
        needed = np.unique(np.concatenate(clips))  # each frame is decoded once
        frames = read(needed)
        crops = [
            augment.spatial_crops(frames[np.searchsorted(needed, clip)], self.size, self.num_crops) for clip in clips
        ]
        return np.concatenate(crops)

    def _frames(self, length: int, stride: int) -> list[np.ndarray]:
        if self.segment:
            return sampling.segment_views(length, self.num_frames, self.num_clips)
        if self.num_segments:
            parts = {"num_dense": self.num_frames, "stride": stride, "num_segments": self.num_segments}
            return sampling.dense_and_segment_views(length, self.num_clips, **parts)
        return sampling.views(length, self.num_frames, stride, self.num_clips)

    def batches(self, views_at_once: int = 64, num_workers: int = 0) -> Iterator[dict]:
        """Yields the readable videos in order, collated: dict(views (B, V, T, size, size, 3), label (B,), path list). UserError if there is none."""
        parts = self._parts(views_at_once)
        return self._kept(map(_collated, self._read(parts, num_workers)))

    def each(
        self, function: Callable[[dict], object], views_at_once: int = 64, num_workers: int = 0, seed: int = 0
    ) -> Iterator:
        """Yields function(batch) for each of `batches`, in order. seed: for what the function draws.

        Several ranks take turns, see `ivcore.distributed_evaluation`: one rank reads and uses each batch, and all ranks get every result.
        """
        from ivcore import distributed_evaluation

        def used(batch: tuple) -> tuple:
            collated, paths, errors = _collated(batch)
            return function(collated) if paths else None, paths, errors

        parts = self._parts(views_at_once)
        read = self._read([parts[number] for number in distributed_evaluation.own(len(parts))], num_workers)
        return self._kept(distributed_evaluation.in_turns(used, read, len(parts), seed))

    def _parts(self, views_at_once: int) -> list[range]:
        """The items of each batch."""
        views_at_once = min(views_at_once, AT_ONCE // ((self.num_frames + self.num_segments) * self.size**2))
        per_batch = max(1, views_at_once // (self.num_clips * self.num_crops))
        return [range(begin, min(begin + per_batch, len(self))) for begin in range(0, len(self), per_batch)]

    def _read(self, parts: list[range], num_workers: int) -> Iterator[tuple[list[dict], list[VideoError]]]:
        from torch.utils.data import DataLoader

        waits = {"num_workers": num_workers, "timeout": 300 if num_workers else 0}
        return iter(DataLoader(self, batch_sampler=parts, collate_fn=_parted, **waits)) if parts else iter(())

    def _kept(self, results: Iterable[tuple]) -> Iterator:
        """Yields the values of (value, paths of the readable videos, errors), except for batches without a readable video."""
        self.scored = []
        for value, paths, errors in results:
            for error in errors:
                self.bad.add(error)
            self.scored += paths
            if paths:
                yield value
        if not self.scored:
            raise UserError(f"none of the {len(self)} videos can be read, e.g. {self.bad.example()}")

    def coverage(self, split: str) -> dict[str, int]:
        """For metrics.json: the numbers of the split's videos, of those scored in the last pass over `batches`, and of its flaws."""
        flaws = {f"{split}_{name}": count for name, count in self.flaws.items()}
        return {f"{split}_videos": len(self) + self.missing, f"{split}_scored": len(self.scored), **flaws}


def _parted(items: list) -> tuple[list[dict], list[VideoError]]:
    bad = [item for item in items if isinstance(item, VideoError)]
    return [item for item in items if not isinstance(item, VideoError)], bad


def _collated(read: tuple[list[dict], list[VideoError]]) -> tuple[dict | None, list[str], list[VideoError]]:
    """Returns (the readable videos as a batch, or None; their paths; the errors of the others)."""
    from torch.utils.data import default_collate

    good, bad = read
    return default_collate(good) if good else None, [item["path"] for item in good], bad


def views_of(videos, *, in_memory: bool, size: int, run_dir=None, strict: bool = False, max_bad: int | float | None = None, **how) -> Views:  # fmt: skip
    """`Views` of a `data.videos.VideoSet`. in_memory: decode all videos once and keep them. how: further arguments of `Views`."""
    records, reading = videos.records, {"run_dir": run_dir, "strict": strict}
    if in_memory:
        limit = 1.0 if max_bad is None else max_bad
        records = load(records, size, max_bad=limit, missing=videos.missing, **reading).readable()
    missing = videos.missing + len(videos) - len(records)
    return Views(records, size=size, missing=missing, flaws=videos.flaws, max_bad=max_bad, **reading, **how)


def merged_scores(
    function, model, views: Views, num_workers: int = 0, precision: str = "fp32", seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Returns (probabilities (n, K), merged over the views by `metrics.recognition.merge_views`; labels (n,)). Arguments as in `over_views`."""
    from ivcore.metrics.recognition import merge_views

    logits, labels = over_views(function, model, views, 256, num_workers, precision, seed=seed)
    return merge_views(logits), labels


def over_views(
    function: Callable[[Tensor], Tensor],
    model,
    views: Views,
    batch_size: int = 64,
    num_workers: int = 0,
    precision: str = "fp32",
    prepare: Callable | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Applies function(prepared clips (B, 3, T, H, W)) -> (B, K) to every view; returns (n, V, K) float32 and labels (n,), on the CPU.

    n: number of readable videos, see `Views.coverage`. Runs in eval mode without gradients, in bfloat16 if `precision` is bf16, as in
    training, on the device of `model`. `prepare` (default: `model.prepare`) prepares the clips. Several ranks take turns, see `Views.each`;
    what the function draws from the global generators depends only on `seed` and the number of the batch.
    """
    import torch

    from ivcore.precision import autocast

    model.eval()
    device, prepare = next(model.parameters()).device, prepare or model.prepare

    def scored(batch: dict) -> tuple[Tensor, Tensor]:
        clips = batch["views"].to(device)
        scores = function(prepare(clips.flatten(0, 1))).float().cpu().unflatten(0, clips.shape[:2])
        return scores, torch.as_tensor(batch["label"])

    with torch.inference_mode(), autocast(device, precision):
        scores, labels = zip(*views.each(scored, batch_size, num_workers, seed))
    return torch.cat(scores).clone(), torch.cat(labels).clone()
