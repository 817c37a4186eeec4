"""Clips for two encoders at once: dense frames for the masked one, then one frame of each segment for the multimodal
one.

`params` are a notebook's parameters (`run.params`): masked_frames, sampling_rate, multimodal_frames and image_size; if
the notebook has them also clip_seconds, in_memory (default True), strict_decoding, crop_scales, flip, random_erasing, max_bad and
seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ivcore.data import sources
from ivcore.data.clips import Clips
from ivcore.data.views import Views, views_of
from ivcore.video import sampling

NAMES = {"crop_scales": "scales", "flip": "flip", "random_erasing": "erase", "max_bad": "max_bad", "seed": "seed"}


def frame_sampler(params: Mapping) -> Callable:
    """sampler(length, rng=None) -> frame indices for both encoders; the middle ones without a generator."""
    frames = {"num_dense": params["masked_frames"], "stride": params["sampling_rate"]}
    return partial(sampling.dense_and_segment, **frames, num_segments=params["multimodal_frames"])


def training_clips(records, params: Mapping, run_dir, augmentation: str = "crop") -> Clips:
    """As `data.sources.training_clips`; each clip has the frames of both encoders in the same crop."""
    how = {word: params[name] for name, word in NAMES.items() if name in params}
    how |= {"augmentation": augmentation, "sampler": frame_sampler(params)}
    return sources.training_clips(records, **_clip(params, run_dir), **how)


def views(videos, params: Mapping, run_dir, **how) -> Views:
    """As `data.views.views_of`; each view has the frames of both encoders in the same crop."""
    return views_of(videos, **_clip(params, run_dir) | {"num_segments": params["multimodal_frames"]} | how)


def _clip(params: Mapping, run_dir) -> dict:
    frames = {"num_frames": params["masked_frames"], "stride": params["sampling_rate"]}
    frames["seconds"] = params.get("clip_seconds") or None
    reading = {"in_memory": params.get("in_memory", True), "strict": params.get("strict_decoding", False)}
    return frames | reading | {"size": params["image_size"], "run_dir": run_dir}
