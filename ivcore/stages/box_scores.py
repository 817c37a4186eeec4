"""Scores of the models in the box that are quick to measure again: card.json lists them with the clips that they were measured on.

The clips are a small generated set of its own, which no model was trained on.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ivcore import weights
from ivcore.data import shapes
from ivcore.data.captions.sets import captioned_set, held_out_clips
from ivcore.data.labels.union import normalise
from ivcore.data.videos import VideoSet, video_splits
from ivcore.data.views import Views, over_views, views_of
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.metrics import retrieval
from ivcore.stages import cross_model, frozen, video_text
from ivcore.weights import box

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
    return _MEASURES[type(model).__name__](model, box.carried(name))


def _splits() -> tuple[VideoSet, VideoSet]:
    place = folder()
    return tuple(video_splits({split: str(place / f"{split}.csv") for split in ("train", "test")}))


def _probe(model: nn.Module, carried: dict) -> dict[str, float]:
    train, test = (views_of(videos, **_sampling(carried["clip"])) for videos in _splits())
    return frozen.what_features_tell(model.encoder, train, test) | {"chance": _splits()[1].chance}


def _retrieval(model: nn.Module, carried: dict) -> dict[str, float]:
    tokenizer, place = Tokenizer(**carried["tokenizer"]), folder()
    lists = [str(place / name) for name in ("msrvtt.json", "msrvtt_test.csv", "msrvtt_reversed.json")]
    videos = captioned_set("test", *lists, str(place / "videos"))
    clips, videos = held_out_clips(videos, tokenizer, num_frames=carried["clip"]["num_frames"], size=model.visual.image)
    found = retrieval.retrieval(video_text.similarities(model, clips, videos, tokenizer))
    return {"t2v_r1": found["t2v_r1"], "v2t_r1": found["v2t_r1"], "chance": 1 / len(videos)}


def _top1(model: nn.Module, carried: dict) -> dict[str, float]:
    """Top-1 of the clips whose class the model was taught, among those classes."""
    taught = [normalise(name) for name in carried.get("classes", ())]
    test = _splits()[1]
    rows = {
        label: taught.index(normalise(name)) for label, name in enumerate(test.classes) if normalise(name) in taught
    }
    known = [record for record in test.records if record.label in rows]
    if len(rows) < 2:
        return {}
    scores, labels = _class_scores(
        model, views_of(VideoSet(known, test.classes, test.source), **_sampling(carried["clip"]))
    )
    among = list(rows)
    right = torch.tensor(among)[scores[:, [rows[label] for label in among]].argmax(1)] == labels
    return {"top1": right.double().mean().item(), "chance": 1 / len(among)}


def _class_scores(model: nn.Module, views: Views) -> tuple[Tensor, Tensor]:
    if hasattr(model, "fusion"):
        return cross_model.predictions(model, views)[2:]
    scores, labels = over_views(model, model, views)
    return scores[:, 0], labels


def _sampling(clip: dict) -> dict:
    """How `Views` shows the clips that the model was trained for."""
    shown = {"in_memory": False, "stride": clip.get("sampling_rate", 1), "size": clip["image_size"]}
    if "multimodal_frames" in clip:
        return shown | {"num_frames": clip["masked_frames"], "num_segments": clip["multimodal_frames"]}
    return shown | {"num_frames": clip["num_frames"], "segment": clip.get("frame_sampling", "dense") != "dense"}


_MEASURES = {
    "MaskedAutoencoder": _probe,
    "VideoTextModel": _retrieval,
    "VideoClassifier": _top1,
    "UniFormerV2": _top1,
    "Coordinated": _top1,
}
