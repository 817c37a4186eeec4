"""Builds the model of a training notebook from its parameters, on tensors without data, so that `iv plan` can count it.

An encoder that is a run ("12/k710_masked") is followed through the presets to the notebook that sets a size; no weights
are read. The video-text model that 33, 34 and 45 start from may also be a file: its shapes are read if that is fast,
else its name gives the size.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ivcore import paths
from ivcore.cma import Coordinated
from ivcore.data.views import AT_ONCE
from ivcore.encoders import build, sizes
from ivcore.encoders.caption_decoder import PlainCaptionDecoder
from ivcore.encoders.checkpointing import set_activation_checkpointing
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import ParameterError, shown
from ivcore.heads.answer import answering
from ivcore.heads.classifier import classifier
from ivcore.run import constraints
from ivcore.run import folder as run_folder
from ivcore.run.contradictions import SCRATCH
from ivcore.run.encoder_kinds import start_of
from ivcore.run.parameters import of_result
from ivcore.run.spec import Reference, Spec
from ivcore.weights import usage
from ivcore.weights.sketch import sketch

NOTEBOOKS = ("10", "11", "12", "13", "30", "33", "34", "45")
ASKING = ("37", "38")  # notebooks that only embed videos, batch by batch
CLASSES = {
    "12": 710,
    "13": 710,
    "30": 400,
}  # Kinetics' numbers of classes serve for all data: a classification layer is small compared with any encoder
FEW_WORDS = 256  # assumed size of a small vocabulary, which depends on the captions
# Answers of a dataset and questions per clip if the preset gives no number. Both cost little compared with a clip.
ANSWERS, QUESTIONS = 1500, 5
PUBLISHED_LAYERS, PUBLISHED_FRAMES = 4, 8  # layers of the released model's caption decoder, frames of its clips
_CLIP_SIZES = {r"B[-/_]?16": "base", r"L[-/_]?14": "large"}


@dataclass(frozen=True)
class Steps:
    """One of the kinds of steps that a run alternates."""

    name: str
    build: Callable[[], nn.Module]
    run: Callable[[nn.Module, int], Tensor]  # (model, number of clips) -> tensor for the backward pass
    batch: int  # samples of a step on all devices: clips x repeats
    decoded: int  # clips or images decoded for a step
    share: float = 1.0  # share of all steps
    images: bool = False  # True for steps on images
    again: float = 0.0  # extra operations of micro-batches, as a share: the contrastive loss embeds all of them first


def steps_of(spec: Spec, values: dict) -> list[Steps]:
    """The training steps of a notebook with these values. ParameterError if it has no plan, or for an unknown size."""
    if spec.number in ASKING:
        raise ParameterError(
            f"{spec.stem}: trains nothing; it embeds at most {AT_ONCE >> 20} million pixels at a time, of which a ViT-L keeps some 9 GB"
        )
    if spec.number not in NOTEBOOKS:
        raise ParameterError(f"{spec.stem}: plans are made for notebooks {', '.join(NOTEBOOKS)}")
    repeats, clips = values.get("repeats", 1), values["batch_size"]
    frames = values.get("num_frames")
    if spec.number == "11":
        texts = values["context_length"] if values["clip_weights"] in SCRATCH else 77
        if values.get("multimodal_encoder") not in SCRATCH:
            texts = len(_speaks(values).text.positional_embedding)
        turns = [("videos", frames, clips)] + [("images", 1, values["image_batch_size"])] * values["images"]
        share, again = 1 / len(turns), 1 / (4 if values["activation_checkpointing"] == "full" else 3)
        return [
            Steps(
                name,
                lambda: _trained(spec, values),
                _pairs(values, count, texts),
                batch,
                batch,
                share,
                name == "images",
                again,
            )
            for name, count, batch in turns
        ]
    make = lambda: _trained(spec, values)  # noqa: E731
    kinds = {"10": _hidden, "13": _joined, "33": _searched, "34": _asked, "45": _described}
    run, again = kinds.get(spec.number, _clips)(values), 0.0
    if spec.number == "33" or values.get("contrastive_weight"):
        again = 1 / (4 if values["activation_checkpointing"] == "full" else 3)
    return [Steps("clips", make, run, clips * repeats, clips, again=again)]


def _trained(spec: Spec, values: dict) -> nn.Module:
    """The model with its activation checkpointing."""
    model = model_of(spec, values)
    set_activation_checkpointing(model, values.get("activation_checkpointing", "nothing"))
    return model


def model_of(spec: Spec, values: dict) -> nn.Module:
    """The model that a run with these values saves, with random weights."""
    number = spec.number
    if number == "10":
        if (start := values.get("masked_encoder")) not in SCRATCH:
            return _started_from(start, "masked_encoder").resize_positions(values["num_frames"], values["image_size"])
        own = {"frames": values["num_frames"], "image": values["image_size"], "patch": values["patch_size"]}
        return MaskedAutoencoder(values["encoder_size"], decoder_depth=values["decoder_depth"], **own)
    if number == "11":
        return _video_text(values)
    if number == "13":
        return _coordinated(spec, values)
    if number in ("12", "30"):
        return _classifier(spec, values)
    if number in ("33", "34", "45"):
        return {"33": _finder, "34": _answerer, "45": _captioner}[number](values)
    raise ParameterError(f"{spec.stem}: is not followed to a size; plans begin at notebooks {', '.join(NOTEBOOKS)}")


def _video_text(values: dict) -> VideoTextModel:
    if values.get("multimodal_encoder") not in SCRATCH:
        return _speaks(values)
    weights = values["clip_weights"]
    size = sizes.video_text_size(values["model_size"], context=values["context_length"])
    if weights not in SCRATCH:
        size = sizes.video_text_size(_clip_size(weights))
    elif values["small_vocabulary"]:
        size = replace(size, vocabulary=FEW_WORDS)
    size = replace(size, global_layers=values["global_layers"])
    decoder = build.caption_decoder(values["caption_decoder"], size, values["caption_width"], values["caption_layers"])
    model = build.video_text_model(
        size, None, decoder, caption_query=values["caption_query"], dropout=values["dropout"]
    )
    return model.freeze(*{"nothing": (), "text": ("text",), "vision": ("visual",)}[values["frozen"]])


def _clip_size(weights: str, name: str = "clip_weights") -> str:
    for pattern, size in _CLIP_SIZES.items():
        if re.search(pattern, str(weights)):
            return size
    raise ParameterError(f"{name} = {shown(weights)}: its size is not told by its name; B/16 and L/14 are")


def _classifier(spec: Spec, values: dict) -> nn.Module:
    shape = {"frames": values["num_frames"], "image": values["image_size"]}
    start = start_of(values)
    if start is None:
        size = sizes.size(values["encoder_size"], patch=values["patch_size"], **shape)
        return VideoClassifier(size, CLASSES[spec.number])
    return classifier(_started_from(start), CLASSES[spec.number], **shape)


def _coordinated(spec: Spec, values: dict) -> Coordinated:
    frames = {"masked_encoder": values["masked_frames"], "multimodal_encoder": values["multimodal_frames"]}
    branches = [
        classifier(_started_from(values[name]), CLASSES[spec.number], frames=count, image=values["image_size"])
        for name, count in frames.items()
    ]
    names = ("stages", "reverse", "ffn_ratio", "dropout", "head_drop", "fusion")
    fuse = "logits" if values["fusion"] == "raw" else "probabilities"
    return Coordinated(*branches, heads=values["heads"] or None, frames=values["multimodal_frames"], fuse=fuse,
                       **{name: values[name] for name in names})  # fmt: skip


def _finder(values: dict) -> nn.Module:
    model = _speaks(values)
    if model.caption_decoder is not None:
        model.caption_decoder.requires_grad_(False)  # this training does not use it
    return model


def _answerer(values: dict) -> nn.Module:
    model = _speaks(values)
    how = {"features": values["answer_features"], "layers": values["head_layers"], "dropout": values["head_drop"]}
    return answering(model, values["most_answers"] or ANSWERS, **how)


def _captioner(values: dict) -> nn.Module:
    model = _speaks(values)
    if model.caption_decoder is None:
        vocabulary, text_width = model.text.token_embedding.weight.shape
        width = values["caption_width"]
        model.caption_decoder = PlainCaptionDecoder(text_width, model.visual.width, width, values["caption_layers"], max(1, width // 64), vocabulary)  # fmt: skip
    return model


def _speaks(values: dict) -> VideoTextModel:
    """The video-text model that the training starts from."""
    value = values["multimodal_encoder"]
    if _is_run(value):
        return _started_from(value)
    if (model := _of_file(value)) is not None:
        return model.to("meta")
    size = sizes.video_text_size(_clip_size(value, "multimodal_encoder"))
    return build.video_text_model(size, None, build.caption_decoder("published", size, layers=PUBLISHED_LAYERS))


def _frames(values: dict) -> int:
    """Frames of a clip: `num_frames`, or those of the model that the training starts from."""
    if values.get("num_frames"):
        return values["num_frames"]
    value = values["multimodal_encoder"]
    if _is_run(value):
        reference, place = Reference.of(value), paths.resolve(value)
        known = values_of(reference.spec, reference.preset, reference.overrides) if reference else of_result(run_folder.read_params(place))  # fmt: skip
        return _frames(known)
    model = _of_file(value)
    return PUBLISHED_FRAMES if model is None else usage.of(value, model).num_frames


def _is_run(value) -> bool:
    return Reference.of(value) is not None or run_folder.digest_of(paths.resolve(value)) is not None


def _of_file(value) -> VideoTextModel | None:
    """The video-text model in a file or in the box; None if it is another model or slow to read."""
    place = paths.resolve(value)
    if not place.exists() and not str(value).startswith("ivcore/"):
        return None
    with torch.device("cpu"):  # overrides the meta device of a model that is being built
        model = sketch(place if place.exists() else Path(value))
    return model if isinstance(model, VideoTextModel) else None


def _started_from(value, name: str = "encoder") -> nn.Module:
    """The model of the run that a value names, by its preset or its folder. ParameterError if it is no run."""
    reference, place = Reference.of(value), paths.resolve(value)
    if reference is None and run_folder.digest_of(place):
        return model_of(Spec.of(place.parent.name), of_result(run_folder.read_params(place)))
    if reference is None:
        raise ParameterError(f"{name} = {shown(value)}: a plan follows runs (12/k710_masked), not files or names")
    return model_of(reference.spec, values_of(reference.spec, reference.preset, reference.overrides))


def values_of(spec: Spec, preset: str, overrides: dict | None = None) -> dict:
    """Values of a preset with overrides. ParameterError for wrong names, types, intervals and choices, as in a run; the
    user's files and devices need not exist."""
    given = {}
    for name, value in (overrides or {}).items():
        spec.require(name)
        given[name] = spec.parameters[name].from_text(value) if isinstance(value, str) else value
    asked = spec.load(preset)
    if any(key in asked for key in ("grid", "runs")):
        raise ParameterError(f"preset {preset} of {spec.stem} is a sweep; a plan is made for one run")
    layers = spec.defaults | asked | given
    values = {name: each.fit(layers[name]) for name, each in spec.parameters.items()}
    for name, each in spec.parameters.items():
        if each.kind in ("interval", "choice"):
            constraints.check(name, values[name], each.constraint)
    return values


# ---- the forward pass of a step


def _hidden(values: dict) -> Callable:
    def run(model, clips: int) -> Tensor:
        t, h, w = model.encoder.grid
        hidden = t * int(values["mask_ratio"] * h * w)
        predicted = round(hidden * values["predicted_share"])
        seen = torch.zeros(clips, t * h * w - hidden, dtype=torch.long)
        return model.predict(
            _video(clips, values["num_frames"], values), seen, torch.zeros(clips, predicted, dtype=torch.long)
        )

    return run


def _pairs(values: dict, frames: int, length: int) -> Callable:
    def run(model, clips: int) -> Tensor:
        video = torch.empty(clips, 3, frames, model.visual.image, model.visual.image)
        videos, clip = model.encode_video(video, return_intermediates=("video_tokens",))
        ids = torch.zeros(clips, length, dtype=torch.long)
        texts, text = model.encode_text(ids, return_intermediates=("text_tokens",))
        total = videos.sum() + texts.sum()
        if model.caption_decoder is not None and values["captioning_weight"]:
            logits = model.caption_decoder(text["text_tokens"][0][:, :-1], clip["video_tokens"][0])
            total = total + logits.float().log_softmax(-1).sum()
        return total

    return run


def _searched(values: dict) -> Callable:
    return _sentences(values, captioning=False)


def _described(values: dict) -> Callable:
    return _sentences(values, captioning=True)


def _sentences(values: dict, captioning: bool) -> Callable:
    frames = _frames(values)

    def run(model, clips: int) -> Tensor:
        weights = {"captioning_weight": float(captioning)}
        return _pairs(weights, frames, model.text.context)(model, clips)

    return run


def _asked(values: dict) -> Callable:
    frames = _frames(values)

    def run(model, clips: int) -> Tensor:
        inner = model.video_text
        ids = torch.zeros(clips, values["questions_a_clip"] or QUESTIONS, inner.text.context, dtype=torch.long)
        return model(torch.empty(clips, 3, frames, inner.visual.image, inner.visual.image), ids).float().log_softmax(-1)

    return run


def _joined(values: dict) -> Callable:
    def run(model, clips: int) -> Tensor:
        return model(
            tuple(_video(clips, values[name], values) for name in ("masked_frames", "multimodal_frames"))
        ).fused

    return run


def _clips(values: dict) -> Callable:
    return lambda model, clips: model(_video(clips, values["num_frames"], values))


def _video(clips: int, frames: int, values: dict) -> Tensor:
    return torch.empty(clips, 3, frames, values["image_size"], values["image_size"])
