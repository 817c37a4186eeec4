"""Cross-model attention with gates set by hand: predictions of a coordinated model whose encoders exchange less (paper
3.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ivcore.cma import Coordinated
from ivcore.errors import ParameterError
from ivcore.stages.cross_model import modules_of, prepared


@contextmanager
def turned(model: Coordinated, shares: Mapping[str, float]) -> Iterator[Coordinated]:
    """A context in which both gates of each module have a share of their opening, 0 closed and 1 as trained; afterwards
    they are restored.

    shares: module -> share, named as in `modules_of`; other modules are unchanged. ParameterError for an unknown name,
    and for modules without gates.
    """
    modules = modules_of(model)
    if unknown := [name for name in shares if name not in modules]:
        raise ParameterError(f"gate of {unknown[0]!r}: there are {', '.join(modules)}")
    gates = [
        (gate, share)
        for name, share in shares.items()
        for gate in (modules[name].attention_gate, modules[name].ffn_gate)
    ]
    if any(gate is None for gate, _ in gates):
        raise ParameterError("gates: this model was trained without any")
    kept = [gate.detach().clone() for gate, _ in gates]
    try:
        with torch.no_grad():
            for gate, share in gates:
                gate.copy_((share * gate.tanh()).clamp(-1 + 1e-6, 1 - 1e-6).atanh() if share != 1 else gate)
        yield model
    finally:
        with torch.no_grad():
            for (gate, _), value in zip(gates, kept):
                gate.copy_(value)


@torch.inference_mode()
def while_opening(model: Coordinated, video: Tensor, shares: Sequence[float]) -> dict[str, Tensor]:
    """Predictions while all gates open together: probabilities (shares, B, K) of the masked encoder, the multimodal one
    and both together.

    video: uint8 (B, both frames, H, W, 3), as in `cross_model.prepared`. shares: of each gate's opening, 0 closed and 1
    as trained.
    """
    frozen, said = model.encode_frozen(prepared(model, video)), []
    for share in shares:
        with turned(model, dict.fromkeys(modules_of(model), share)):
            said.append([part.softmax(-1) for part in model.fuse(frozen)])
    parts = (torch.stack(part) for part in zip(*said, strict=True))
    return dict(zip(("masked encoder", "multimodal encoder", "together"), parts, strict=True))
