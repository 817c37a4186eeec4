"""Describes how a saved model is used: sampling, image size and test views, normalisation of pixels, class names,
and its tokenizer.

A run writes this under `usage` in the one `config` of its file, so the file alone is enough to use the model on any
video. For files without it, such as published ones, `of` combines what the model itself tells with the published
sampling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike

import torch
from torch import nn

from ivcore.cma import Coordinated
from ivcore.encoders.clip import Clip
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedVideoEncoder
from ivcore.heads.answer import AnswerModel
from ivcore.weights.accounting import WeightsError
from ivcore.weights.box import BOX
from ivcore.weights.fields import Fields
from ivcore.weights.hub import locate
from ivcore.weights.reading import read_config

USAGE = "usage"  # the field of a config
SAMPLING = ("dense", "segment", "segment_shared")
ORDERS = ("ordered", "shuffled", "single")
DENSE, SPARSE = (
    {"frame_sampling": "dense", "sampling_rate": 4},
    {"frame_sampling": "segment", "num_frames": 8},
)  # published


@dataclass(frozen=True)
class Usage:
    """Fields have the names of the notebooks' parameters. image_size in pixels, height and width.

    clip_seconds: seconds that dense frames span, or most of a shorter video; replaces sampling_rate if not None.
    multimodal_frames: for a coordinated model, the number of frames over the whole video; they follow the dense
    ones. test_clips, test_crops: answers are averaged over these views of a video. frame_order: see
    `stages.classify.order_frames`. classes: names in the order of the head's rows. answers: the same for a head that
    answers questions. tokenizer: arguments of `Tokenizer`. known: whether the file itself has the usage.
    """

    image_size: int
    num_frames: int
    frame_sampling: str = "dense"
    sampling_rate: int = 1
    multimodal_frames: int = 0
    test_clips: int = 1
    test_crops: int = 1
    frame_order: str = "ordered"
    classes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    tokenizer: Mapping | None = None
    clip_seconds: float | None = None
    known: bool = True

    def views(self) -> dict:
        """Arguments of `data.views.Views`, without the videos."""
        return {
            "num_frames": self.num_frames,
            "stride": self.sampling_rate,
            "seconds": self.clip_seconds,
            "size": self.image_size,
            "segment": self.frame_sampling != "dense",
            "num_segments": self.multimodal_frames,
            "num_clips": self.test_clips,
            "num_crops": self.test_crops,
        }

    def saved(self, model: nn.Module) -> dict:
        """The part of a config that holds the usage: for `save_weights`, beside `model.config`."""
        fields = {name: value for name, value in asdict(self).items() if value not in ((), None, 0) and name != "known"}
        return {USAGE: fields | {"normalisation": normalisation(model)}}


def of_run(params: Mapping, model: nn.Module, classes=(), tokenizer: Tokenizer | None = None) -> Usage:
    """Usage of a model that a notebook with these parameters has trained."""
    names = ("frame_sampling", "sampling_rate", "multimodal_frames", "test_clips", "test_crops", "frame_order")
    given = {name: params[name] for name in names if name in params}
    return Usage(
        params.get("image_size") or getattr(model, "visual", model).image,
        params.get("num_frames") or params["masked_frames"],
        classes=tuple(classes),
        tokenizer=tokenizer and tokenizer.config,
        clip_seconds=params.get("clip_seconds") or None,
        **given,
    )


def of(source: str | PathLike, model: nn.Module) -> Usage:
    """Usage of a model from `weights.load(source)`. WeightsError for an invalid field, or a model that takes no videos."""
    config = read_config(locate(str(source)))
    if config.get(USAGE) is None and isinstance(config.get(BOX), dict):
        config[USAGE] = _of_box(config[BOX], model)
    if config.get(USAGE) is None:
        return _published(model, config, str(source))
    return _read(Fields(config, str(source)).part(USAGE), model)


def classes_of(source: str | PathLike) -> list[str]:
    """Class names in a checkpoint; [] if it has none."""
    try:
        fields = Fields(read_config(locate(str(source))), str(source)).part(USAGE)
    except WeightsError:
        return []
    names = fields.get("classes")
    return names if isinstance(names, list) else []


def normalisation(model: nn.Module) -> dict:
    """Statistics that `prepare` uses on pixels in [0, 1]: image_mean and image_std of red, green, blue; those of
    each branch for a coordinated model.
    """
    if isinstance(model, Coordinated):
        return {"masked": normalisation(model.masked), "multimodal": normalisation(model.multimodal)}
    black, white = (
        model.prepare(torch.full((1, 1, 1, 1, 3), value, dtype=torch.uint8)).flatten().float() for value in (0, 255)
    )
    std = 1 / (white - black)
    return {"image_mean": _rounded(-black * std), "image_std": _rounded(std)}


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(value, 5) for value in values.tolist()]


def _read(fields: Fields, model: nn.Module) -> Usage:
    given = {
        **{name: fields.count(name, most=most) for name, most in COUNTS.items()},
        "clip_seconds": fields.number("clip_seconds", least=0.0, most=3600.0),
        "frame_sampling": fields.choice("frame_sampling", *SAMPLING),
        "frame_order": fields.choice("frame_order", *ORDERS),
        "classes": _names(fields, model),
        "answers": _answers(fields, model),
        "tokenizer": _tokenizer(fields),
    }
    for name in ("image_size", "num_frames"):
        if given[name] is None:
            fields.refuse(name, None, "given")
    fields.get("normalisation")  # for those who read the file with other programs
    return Usage(**{name: value for name, value in given.items() if value is not None})


def _of_box(carried: dict, model: nn.Module) -> dict:
    """The usage that is stored with a model of the box."""
    clip = dict(carried.get("clip") or {})
    clip["num_frames"] = clip.get("num_frames") or clip.pop("masked_frames", None)
    clip["image_size"] = clip.get("image_size") or getattr(getattr(model, "visual", model), "image", None)
    rest = {name: carried[name] for name in ("classes", "tokenizer") if name in carried}
    return clip | (rest if getattr(model, "num_classes", 0) or _rows(model) or "tokenizer" in rest else {})


COUNTS = {
    "image_size": 4096,
    "num_frames": 4096,
    "sampling_rate": 4096,
    "multimodal_frames": 4096,
    "test_clips": 64,
    "test_crops": 64,
}


def _names(fields: Fields, model: nn.Module) -> tuple[str, ...] | None:
    names, rows = fields.get("classes"), getattr(model, "num_classes", None) or _rows(model)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) != rows:
        fields.refuse("classes", names, f"{rows} names, one for each row of the head")
    return tuple(names)


def _answers(fields: Fields, model: nn.Module) -> tuple[str, ...] | None:
    names, rows = fields.get("answers"), model.head[-1].out_features if isinstance(model, AnswerModel) else 0
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) != rows:
        fields.refuse("answers", names, f"{rows} answers, one for each row of the head")
    return tuple(names)


def _rows(model: nn.Module) -> int:
    return model.masked.num_classes if isinstance(model, Coordinated) else 0


def _tokenizer(fields: Fields) -> dict | None:
    table = fields.part("tokenizer")
    context = table.count("context")
    if context is None:
        return None
    kept = table.get("kept")
    sound = isinstance(kept, list) and all(type(one) is int and 0 <= one < 10**6 for one in kept)
    if kept is not None and not sound:
        table.refuse("kept", kept, "a list of ids")
    return {"context": context, "kept": kept}


def _published(model: nn.Module, config: dict, source: str) -> Usage:
    """The published sampling for this kind of model, with clips of the size that it expects."""
    classes = _id2label(config, getattr(model, "num_classes", 0))
    encoder = getattr(model, "encoder", model)
    if isinstance(model, AnswerModel):
        model = model.video_text
    if isinstance(encoder, MaskedVideoEncoder):
        frames, height, _ = encoder.clip
        return Usage(height, frames, classes=classes, known=False, **DENSE)
    if isinstance(model, Coordinated):
        frames, height, _ = model.masked.clip
        return Usage(height, frames, multimodal_frames=model.frames, known=False, **DENSE)
    if isinstance(model, UniFormerV2 | VideoTextModel | Clip):
        image = getattr(model, "visual", model).image
        tokenizer = None if isinstance(model, UniFormerV2) else _whole_tokenizer(model)
        return Usage(image, classes=classes, tokenizer=tokenizer, known=False, **SPARSE)
    raise WeightsError(f"{source}: holds a {type(model).__name__}, which alone takes no videos")


def _whole_tokenizer(model: VideoTextModel | Clip) -> dict | None:
    """CLIP's whole vocabulary if the text encoder has it; a smaller vocabulary cannot be known."""
    words, context = model.text.token_embedding.num_embeddings, model.text.context
    return {"context": context, "kept": None} if words == Tokenizer(context).vocabulary else None


def _id2label(config: dict, classes: int) -> tuple[str, ...]:
    """Class names as transformers writes them; () if they are only numbers."""
    table = config.get("id2label")
    if not isinstance(table, dict) or {str(key) for key in table} != {str(i) for i in range(classes)}:
        return ()
    names = tuple(str(table[key]) for key in sorted(table, key=int))
    return () if all(name == f"LABEL_{i}" for i, name in enumerate(names)) else names
