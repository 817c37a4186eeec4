"""Loads published checkpoints as encoders of this library, in one line:

    from ivcore import weights
    model = weights.load("pytorch_model.bin")            # a file, a folder, or a name such as "OpenGVLab/..."
    model = weights.load("ivcore/small-masked")          # comes with this library, see weights.box and `iv box`
    model = weights.from_official(state_dict, config)    # a dict under published names

A file of this library's own runs names its class, and that class is built. The layout of other files is recognised from key names and shapes;
`config` (a plain dict, with the names of the published constructors) is only needed for settings that neither shapes nor the file give: heads,
frames, which layers. Every tensor is loaded, or an error names it; every config field that would make another model is used, or an error
names it. Weights that are not finite real numbers are refused. Unpickling never executes code.

Prefixes of compilers and wrappers are removed; files of Lightning, mmaction2 and DeepSpeed, and averaged weights can be read; `entry` chooses
one of several sets of weights. The tests use files in these layouts, written here and by transformers, not the published files.
"""

from __future__ import annotations

import warnings
from os import PathLike

import torch
from torch import Tensor, nn

from ivcore.encoders.videomae import MaskedVideoEncoder
from ivcore.errors import UserError
from ivcore.weights import actionformer, clip, coordinated, uniformerv2, usage, video_text, videomae
from ivcore.weights.accounting import WeightsError, listed, require_numbers
from ivcore.weights.fields import Fields
from ivcore.weights.hub import locate
from ivcore.weights.reading import CLASS, read
from ivcore.weights.unwrapping import ARGUMENTS, apart, unwrap

__all__ = ["WeightsError", "from_official", "load"]

# the class that a file of ours names -> its builder
CLASSES = {
    "ActionFormer": actionformer.actionformer,
    "Coordinated": coordinated.coordinated,
    "VideoTextModel": video_text.video_text,
    "AnswerModel": video_text.answer_model,
    "CaptionDecoder": video_text.caption_decoder,
    "PlainCaptionDecoder": video_text.caption_decoder,
    "Clip": clip.clip,
    "UniFormerV2": uniformerv2.uniformerv2,
    "MaskedAutoencoder": videomae.pretraining,
    "MaskedVideoEncoder": videomae.bare_encoder,
    "VideoClassifier": videomae.classifier,
}
# (recognises the keys, builds the module) for all other files; the first one that recognises a checkpoint builds it
LAYOUTS = (
    (actionformer.is_actionformer, actionformer.actionformer),
    (coordinated.is_coordinated, coordinated.coordinated),
    (video_text.is_video_text, video_text.video_text),
    (video_text.is_caption_decoder, video_text.caption_decoder),
    (clip.is_clip, clip.clip),
    (uniformerv2.is_uniformerv2, uniformerv2.uniformerv2),
    (videomae.is_pretraining, videomae.pretraining),
    (videomae.is_encoder, videomae.encoder),
)


def load(source: str | PathLike, config: dict | None = None, *, entry: str | None = None) -> nn.Module:
    """A file, a folder, a model of the box, or a name on the Hugging Face hub -> a module in eval mode, float32, on the CPU.

    config: settings that neither shapes nor the file give, see the layouts' modules. If the file names its training clips and `config`
    names others (num_frames, img_size), the model is built as the file says and its positions are interpolated.
    entry: one of several sets of weights in the file, such as "teacher" or "model_ema". Errors: WeightsError, one line with the source.
    """
    state, saved = read(locate(str(source)), entry)
    config = dict(config or {})
    asked = {}
    for names in (videomae.FRAMES, videomae.IMAGE):
        if any(saved.get(name) is not None for name in names):
            asked[names] = Fields(config, str(source)).count(*names)
            config = {name: value for name, value in config.items() if name not in names}
    model = _build(state, saved | config, str(source))
    encoder = getattr(model, "encoder", model)
    if not any(asked.values()) or not isinstance(encoder, MaskedVideoEncoder):
        return model
    t, height, width = encoder.clip
    frames, image = (asked.get(names) for names in (videomae.FRAMES, videomae.IMAGE))
    return model.resize_positions(frames or t, image or height, image or width)


def from_official(state_dict: dict[str, Tensor], config: dict | None = None, *, entry: str | None = None) -> nn.Module:
    """A state dict with published names (or a checkpoint that contains one) -> a module in eval mode, float32. Errors: WeightsError."""
    state, saved = unwrap(state_dict, "state dict", entry)
    require_numbers(state, "state dict")
    return _build(state, saved | (config or {}), "state dict")


def _build(state: dict[str, Tensor], config: dict, what: str) -> nn.Module:
    config = dict(config)
    build = CLASSES.get(config.pop(CLASS, None))
    build = build or next((build for recognises, build in LAYOUTS if recognises(state)), None)
    if build is None:
        others = apart(state)
        besides = f"; most share a prefix, but not {listed(others)}" if others else ""
        raise WeightsError(f"{what}: not a layout that is known; its keys are {listed(state)}{besides}")
    try:
        fields = Fields(config, what)
        model = build(state, fields)
        fields.get("preprocessor", "preprocess_cfg", "image_mean", "image_std", usage.USAGE, *ARGUMENTS)
        _warn_of_other_statistics(model, config, what)
    except UserError as error:
        raise WeightsError(str(error) if str(error).startswith(what) else f"{what}: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        # shapes that contradict each other in a way that no layout checks
        kind = build.__name__.replace("_", " ")
        raise WeightsError(f"{what}: no {kind} has these shapes: {' '.join(str(error).split())[:200]}") from error
    fields.warn_of_the_rest(what)
    return model


def _warn_of_other_statistics(model: nn.Module, config: dict, what: str) -> None:
    """Warns if the file's own preprocessing normalises pixels differently from `model.prepare`."""
    tables = (config, config.get("preprocessor"), config.get("preprocess_cfg"))
    given = {name: value for table in tables if isinstance(table, dict) for name, value in table.items()}
    theirs = [given.get(f"image_{name}") or given.get(name) for name in ("mean", "std")]
    if not any(theirs) or isinstance(model, coordinated.Coordinated) or not hasattr(model, "prepare"):
        return
    for name, ours, stated in zip(("mean", "std"), map(torch.tensor, usage.normalisation(model).values()), theirs):
        numbers = torch.tensor(stated or ours).float().flatten()
        numbers = numbers / 255 if numbers.max() > 1 else numbers
        if numbers.shape != ours.shape or (numbers - ours).abs().max() > 5e-3:
            expected = [round(float(number), 3) for number in ours]
            warnings.warn(f"{what}: its pixels' {name} is {stated}, but prepare() takes {expected}", stacklevel=4)
