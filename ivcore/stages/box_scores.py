"""Quick scores of the models in the box. card.json lists them with the clips they were measured on.

The clips are small generated sets of which no model saw a clip in training. No model was trained on any clip of
`bodies`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ivcore import weights
from ivcore.cma import Coordinated
from ivcore.data import embedded, rendered, shapes
from ivcore.data.captions.sets import captioned_set, held_out_clips
from ivcore.data.labels.union import normalise
from ivcore.data.videos import VideoSet, video_splits
from ivcore.data.views import Views, over_views, views_of
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import UserError
from ivcore.metrics import retrieval
from ivcore.stages import cross_model, frozen, video_text
from ivcore.weights import usage
from ivcore.weights.usage import Usage

TOLERANCE = 0.03  # in a score: another processor changes the predictions for some clips
SHAPES = "moving shapes"
SETS = {SHAPES: (150, 150), "creatures": (150, 150), "bodies": (100, 100)}  # set -> number of training and test clips
SEED = 2212_03191  # no preset trains on this seed


def lacking(clips: str) -> str:
    """Why these clips are unavailable here, and what to do; "" if they exist or can be rendered."""
    if clips == SHAPES or (rendered.folder_of(*_source(clips)) / "complete").exists():
        return ""
    try:
        getattr(_source(clips)[0], "require_simulator", lambda: None)()
    except UserError as error:
        return str(error)
    return ""


def measure(name: str, clips: str) -> dict[str, float]:
    """Scores of a model of the box on one of SETS, and the chance level as "chance"; {} if these clips do not fit the
    model.

    Missing clips are rendered. UserError if that needs a simulator that is not installed.
    """
    model = weights.load(name)
    return _MEASURES[type(model).__name__](model, usage.of(name, model), _folder(clips))


def _folder(clips: str) -> Path:
    if clips != SHAPES:
        return rendered.build(*_source(clips))
    train, test = SETS[clips]
    return shapes.build(shapes.Shapes("box", SEED, train, 0, test, parts=("clips", "captions")))


def _source(clips: str) -> tuple:
    module, (train, test) = embedded.source(clips), SETS[clips]
    return module, rendered.configure(module, train=train, val=0, test=test, seed=SEED)


def _splits(place: Path) -> tuple[VideoSet, VideoSet]:
    return tuple(video_splits({split: str(place / f"{split}.csv") for split in ("train", "test")}))


def _views(videos: VideoSet, used: Usage) -> Views:
    return views_of(videos, in_memory=False, **used.views() | {"num_clips": 1, "num_crops": 1})


def _probe(model: nn.Module, used: Usage, place: Path) -> dict[str, float]:
    train, test = _splits(place)
    found = frozen.what_features_tell(model.encoder, _views(train, used), _views(test, used))
    return found | {"chance": test.chance}


def _retrieval(model: nn.Module, used: Usage, place: Path) -> dict[str, float]:
    tokenizer, lists = Tokenizer(**used.tokenizer), [str(place / name) for name in ("msrvtt.json", "msrvtt_test.csv")]
    videos = captioned_set("test", *lists, root=str(place / "videos"))
    clips, videos = held_out_clips(videos, tokenizer, num_frames=used.num_frames, size=used.image_size)
    found = retrieval.retrieval(video_text.similarities(model, clips, videos, tokenizer))
    return {"t2v_r1": found["t2v_r1"], "v2t_r1": found["v2t_r1"], "chance": 1 / len(videos)}


def _top1(model: nn.Module, used: Usage, place: Path) -> dict[str, float]:
    """Top-1 on the clips whose class the model was taught, among those classes."""
    taught, test = [normalise(name) for name in used.classes], _splits(place)[1]
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
