"""Finds the kind of model in an encoder parameter before a run starts, and checks that a notebook can use it.

A named run ("10/tiny") is described by its notebook and parameters, even if it has not run yet; a run folder or
checkpoint by its files. Nothing is downloaded, so published names are not checked.

    masked                   a masked autoencoder, its encoder, or a classifier made of it: runs of 10, 12, 30
    autoencoder              a masked one that is no classifier: 10
    masked_classifier        12 (from 10), 30, 40, 41
    multimodal               a video-text model, its video tower, or a classifier made of it: 11, 12 (from 11)
    multimodal_classifier    12 (from 11)
    video_text               a multimodal one that reads sentences: 11
    coordinated              masked and multimodal, joined: 13, 30 (from 13)
    clip                     CLIP, as published
    scratch                  random weights, "" or the word itself
    any                      one of these
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ivcore.encoders.sizes import size, video_text_size
from ivcore.errors import ParameterError, shown
from ivcore.run.contradictions import SCRATCH, TUBELET

KINDS = {
    "scratch": (),
    "masked": ("autoencoder", "masked_classifier"),
    "autoencoder": ("autoencoder",),
    "masked_classifier": ("masked_classifier",),
    "multimodal": ("video_text", "multimodal_classifier"),
    "multimodal_classifier": ("multimodal_classifier",),
    "video_text": ("video_text",),
    "coordinated": ("coordinated",),
    "clip": ("clip",),
}
SPOKEN = {
    "scratch": "scratch",
    "masked": "a masked encoder",
    "autoencoder": "a masked autoencoder",
    "masked_classifier": "a masked classifier",
    "multimodal": "a multimodal encoder",
    "multimodal_classifier": "a multimodal classifier",
    "video_text": "a video-text model",
    "coordinated": "a coordinated model",
    "clip": "CLIP",
    "any": "an encoder",
    "": "no model that others start from",
}
KINDS["any"] = tuple({kind for kinds in KINDS.values() for kind in kinds})


@dataclass(frozen=True)
class Held:
    """Model behind a value. kind: autoencoder, masked_classifier, video_text, multimodal_classifier, coordinated, clip,
    or "" if no run can start from it. patch in pixels, tubelet in frames."""

    kind: str
    patch: int = 1
    width: int = 0
    depth: int = 0
    tubelet: int = 1


def check(name: str, value: str, allowed: tuple[str, ...], held: Held | None) -> None:
    """ParameterError if the model is not of an `allowed` kind. held=None: unknown, which passes."""
    wanted = " or ".join(SPOKEN[word] for word in allowed)
    if value in SCRATCH:
        if not {"scratch", "any"} & {*allowed}:
            raise ParameterError(f"{name} = {shown(value)}: must be {wanted}")
    elif held and held.kind not in {kind for word in allowed for kind in KINDS[word]}:
        raise ParameterError(f"{name} = {shown(value)}: holds {SPOKEN[held.kind]}, must be {wanted}")


def check_sizes(values: dict, held: dict[str, Held | None]) -> None:
    """ParameterError if the notebook's clips cannot be cut into the tokens of an encoder. held: encoders by parameter.

    An encoder's own clip length and size may differ, because positions are interpolated.
    """
    for name, each in held.items():
        # Notebook 03 gives each encoder clips of its own size, and so do runs that compare with finished models.
        if each is None or "clip_weights" in values or name.endswith("_model"):
            continue
        frames = next((f for f in (f"{name.removesuffix('_encoder')}_frames", "num_frames") if f in values), None)
        for parameter, step in (("image_size", each.patch), (frames, each.tubelet)):
            if parameter in values and values[parameter] % step:
                raise ParameterError(
                    f"{parameter} = {values[parameter]}: must be a multiple of {step}, the tokens of {name} = {shown(values[name])}"
                )
        if values.get("heads") and each.width % values["heads"]:
            raise ParameterError(
                f"heads = {values['heads']}: must divide {each.width}, the width of {name} = {shown(values[name])}"
            )
        for layers in ("stages", "global_layers"):
            if layers in values and values[layers] > each.depth:
                raise ParameterError(
                    f"{layers} = {values[layers]}: {name} = {shown(values[name])} has {each.depth} layers"
                )


def of_run(number: str, values: dict, start: Held | None) -> Held | None:
    """The model that a run of notebook `number` with these values saves, if it starts from the encoder `start`.

    None if that is unknown.
    """
    from_scratch = start_of(values) in SCRATCH
    match number:
        case "10" | "30" if from_scratch:
            kind = "autoencoder" if number == "10" else "masked_classifier"
            made = size(values["encoder_size"])
            return Held(kind, values["patch_size"], made.width, made.depth, TUBELET)
        case "11" if from_scratch:
            made = video_text_size(values["model_size"])
            return Held("video_text", made.patch, made.width, made.layers)
        case "10" | "11" | "12" | "30" | "13" | "40" | "41":
            masked = start and start.kind in KINDS["masked"]
            classifier = "masked_classifier" if masked else "multimodal_classifier"
            tuned = "coordinated" if start and start.kind == "coordinated" else classifier
            kinds = {"10": "autoencoder", "11": "video_text", "12": classifier, "30": tuned, "13": "coordinated"}
            kinds |= {"40": classifier, "41": classifier}
            return start and replace(start, kind=kinds[number])
        case "33" | "36" | "45":
            return start
    return Held("")


def start_of(values: dict) -> str | None:
    """Value of the encoder parameter that a run starts from; None if it starts from scratch."""
    names = ("encoder", "masked_encoder", "clip_weights", "multimodal_encoder", "coordinated_model")
    return next((values[name] for name in names if values.get(name) not in SCRATCH), None)


def of_place(path: Path) -> Held | None:
    """The model at a path (see `weights.sketch`); None if it is of no known kind. UserError if it does not load."""
    newest = path / "checkpoints" / "model.safetensors"
    place = newest if newest.exists() else path
    return _of_place(str(place), os.stat(place).st_mtime_ns)


@lru_cache(maxsize=64)
def _of_place(place: str, _) -> Held | None:
    from ivcore.weights.sketch import sketch

    model = sketch(Path(place))
    name = type(model).__name__
    if name in ("MaskedAutoencoder", "MaskedVideoEncoder", "VideoClassifier"):
        size = model.size
        kind = "masked_classifier" if name == "VideoClassifier" else "autoencoder"
        return Held(kind, size.patch, size.width, size.depth, size.tubelet)
    if name == "Coordinated":
        size = model.masked.size
        return Held("coordinated", size.patch, size.width, size.depth, size.tubelet)
    if name in ("VideoTextModel", "UniFormerV2", "Clip"):
        tower = model if name == "UniFormerV2" else model.visual
        classifies = name == "UniFormerV2" and tower.num_classes
        kind = "clip" if name == "Clip" else "multimodal_classifier" if classifies else "video_text"
        return Held(kind, tower.patch, len(tower.class_embedding), len(tower.transformer.resblocks))
    return None
