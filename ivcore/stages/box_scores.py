"""Scores of the models in the box that are quick to measure again: card.json lists them with the clips that they were measured on.

The clips are a small generated set of its own, which no model was trained on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ivcore import weights
from ivcore.cma import Coordinated
from ivcore.data import shapes
from ivcore.data.captions.sets import captioned_set, held_out_clips
from ivcore.data.labels.union import normalise
from ivcore.data.videos import VideoSet, video_splits
from ivcore.data.views import Views, over_views, views_of
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.metrics import retrieval
from ivcore.stages import cross_model, frozen, video_text
from ivcore.weights import usage
from ivcore.weights.usage import Usage

TOLERANCE = 0.03  # of a score: another processor turns some of the clips' answers
CLIPS = {"train": 150, "test": 150}
SEED = 2212_03191  # not one that a preset trains on


def folder() -> Path:
    """The moving shapes that are scored, rendered where they are not there yet."""
    parts = ("clips", "captions")
    return shapes.build(shapes.Shapes(name="box", seed=SEED, val=0, parts=parts, **CLIPS))


def measure(name: str) -> dict[str, float]:
    """The scores of a model of the box by its name, with what a guess would score under "chance"; {} where these clips tell nothing of it."""
    model = weights.load(name)
    return _MEASURES[type(model).__name__](model, usage.of(name, model))


def _splits() -> tuple[VideoSet, VideoSet]:
    place = folder()
    return tuple(video_splits({split: str(place / f"{split}.csv") for split in ("train", "test")}))


def _views(videos: VideoSet, used: Usage) -> Views:
    return views_of(videos, in_memory=False, **used.views() | {"num_clips": 1, "num_crops": 1})


def _probe(model: nn.Module, used: Usage) -> dict[str, float]:
    train, test = _splits()
    found = frozen.what_features_tell(model.encoder, _views(train, used), _views(test, used))
    return found | {"chance": test.chance}


def _retrieval(model: nn.Module, used: Usage) -> dict[str, float]:
    tokenizer, place = Tokenizer(**used.tokenizer), folder()
    lists = [str(place / name) for name in ("msrvtt.json", "msrvtt_test.csv", "msrvtt_reversed.json")]
    videos = captioned_set("test", *lists, str(place / "videos"))
    clips, videos = held_out_clips(videos, tokenizer, num_frames=used.num_frames, size=used.image_size)
    found = retrieval.retrieval(video_text.similarities(model, clips, videos, tokenizer))
    return {"t2v_r1": found["t2v_r1"], "v2t_r1": found["v2t_r1"], "chance": 1 / len(videos)}


def _top1(model: nn.Module, used: Usage) -> dict[str, float]:
    """Top-1 of the clips whose class the model was taught, among those classes."""
    taught, test = [normalise(name) for name in used.classes], _splits()[1]
    names = {label: normalise(name) for label, name in enumerate(test.classes)}
    rows = {label: taught.index(name) for label, name in names.items() if name in taught}
    if len(rows) < 2:
        return {}
    known = replace(test, records=[record for record in test.records if record.label in rows])
    scores, labels = _class_scores(model, _views(known, used))
    answers = torch.tensor([*rows])[scores[:, [*rows.values()]].argmax(1)]
    return {"top1": (answers == labels).double().mean().item(), "chance": 1 / len(rows)}


def _class_scores(model: nn.Module, views: Views) -> tuple[Tensor, Tensor]:
    if isinstance(model, Coordinated):
        return cross_model.predictions(model, views)[2:]
    scores, labels = over_views(model, model, views)
    return scores[:, 0], labels


_MEASURES = {
    "MaskedAutoencoder": _probe,
    "VideoTextModel": _retrieval,
    "VideoClassifier": _top1,
    "UniFormerV2": _top1,
    "Coordinated": _top1,
}
