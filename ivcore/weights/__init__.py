"""Published checkpoints as encoders of this library, in one line:

    from ivcore import weights
    model = weights.load("pytorch_model.bin")            # a file, a folder, or a name such as "OpenGVLab/..."
    model = weights.from_official(state_dict, config)    # a dict under published names

The layout is recognised from key names and shapes; `config` (a plain dict, under the names of the published constructors) is only
needed for what shapes cannot tell: heads, frames, which layers. Every tensor is loaded, or the error names it. Nothing is unpickled
that can execute code.
"""

from __future__ import annotations

from os import PathLike

from torch import Tensor, nn

from ivcore.weights import clip, coordinated, uniformerv2, video_text, videomae
from ivcore.weights.accounting import WeightsError, listed
from ivcore.weights.hub import locate
from ivcore.weights.reading import read, unwrap

__all__ = ["WeightsError", "from_official", "load"]

# (recognises the keys, builds the module); the first that recognises a checkpoint builds it
LAYOUTS = (
    (coordinated.is_coordinated, coordinated.coordinated),
    (video_text.is_video_text, video_text.video_text),
    (video_text.is_caption_decoder, video_text.caption_decoder),
    (clip.is_clip, clip.clip),
    (uniformerv2.is_uniformerv2, uniformerv2.uniformerv2),
    (videomae.is_pretraining, videomae.pretraining),
    (videomae.is_encoder, videomae.encoder),
)


def load(source: str | PathLike, config: dict | None = None) -> nn.Module:
    """A file, a folder, or a name on the Hugging Face hub -> a module in eval mode, float32, on the CPU."""
    path = locate(str(source))
    state, found = read(path)
    return _build(state, found | (config or {}), str(source))


def from_official(state_dict: dict[str, Tensor], config: dict | None = None) -> nn.Module:
    """A state dict under published names (or a checkpoint that wraps one) -> a module in eval mode, float32."""
    return _build(unwrap(state_dict, "state dict"), config or {}, "state dict")


def _build(state: dict[str, Tensor], config: dict, what: str) -> nn.Module:
    for recognises, build in LAYOUTS:
        if recognises(state):
            return build(state, config)
    raise WeightsError(f"{what}: not a layout that is known; its keys are {listed(state)}")
