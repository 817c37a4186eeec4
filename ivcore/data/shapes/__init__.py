"""The embedded dataset of moving shapes: `shapes.build(shapes.Shapes(...))` renders it once and returns its folder, see `config`."""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.shapes import annotations, label_sets, scenes, timelines
from ivcore.data.shapes.builder import build, film
from ivcore.data.shapes.config import PARTS, RENDERER_VERSION, SPLITS, Shapes, with_training
from ivcore.data.shapes.plan import (
    Shot,
    Video,
    clips,
    further_clips,
    groups,
    held_out_clips,
    held_out_shape,
    unknown_clips,
    untrimmed_videos,
)
