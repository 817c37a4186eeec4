"""Costs of each published size: parameters, tokens, operations per clip, memory of a training step. Counted by code.

Models are built and run on tensors without data, so even the largest takes seconds and no memory. Operations are those
of a forward pass; a multiply-add counts as two. Memory is in bytes for one clip: weights, plus gradients and AdamW's
two moments of the trained weights (all float32), plus the activations stored for the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from ivcore.cma import Coordinated
from ivcore.encoders.clip import TextEncoder
from ivcore.encoders.sizes import SIZES, Size, size, video_text_size
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.precision import autocast
from ivcore.scaling import StepCosts

PAPER_TOTALS = (
    "The paper's 1.0B and 1.3B (Table 2) are those of VideoMAE huge with one and with two UniFormerV2 L/14, "
    "986,219,040 and 1,340,318,640: ensembles, without cross-model attention."
)


def count_parameters(module: nn.Module, trained: bool = False) -> int:
    """Number of parameters of a module; with `trained`, only of those that require gradients."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)


@dataclass(frozen=True)
class ModelCosts:
    """Costs of one model: `tokens` of a whole clip, and `encoder_tokens` that its encoder attends over."""

    name: str
    clip: str
    parameters: int
    tokens: int
    encoder_tokens: int
    operations: int  # forward pass of one clip
    state_bytes: int  # weights, and gradients and two moments of the trained ones
    activation_bytes: int  # stored for the backward pass, one clip
    added: int = 0  # parameters that a joined model has beyond its two encoders

    @property
    def training_bytes(self) -> int:
        return self.state_bytes + self.activation_bytes


def cards(names: list[str] | None = None) -> Iterator[ModelCosts]:
    """Yields the costs of all models in order, or of those in `names`."""
    for name, spec in _models().items():
        if names is None or name in names:
            yield _card(name, spec)


def table(rows: list[ModelCosts] | None = None) -> str:
    """The costs as a text table."""
    head = f"{'model':43s} {'clip':>12s} {'parameters':>13s} {'tokens':>7s} {'encoded':>7s} {'GFLOP':>9s} {'training GiB':>12s}"
    lines, rows = [head], list(cards() if rows is None else rows)
    for card in rows:
        lines.append(
            f"{card.name:43s} {card.clip:>12s} {card.parameters:13,d} {card.tokens:7d} {card.encoder_tokens:7d} "
            f"{card.operations / 1e9:9.1f} {card.training_bytes / 2**30:12.2f}"
        )
    note = "GFLOP: forward pass of one clip, a multiply-add counted as two. Training: float32, AdamW, one clip."
    joined = [card for card in rows if card.added]
    return "\n".join([*lines, note, *(_joined(card) for card in joined), *([PAPER_TOTALS] if joined else [])])


def _joined(card: ModelCosts) -> str:
    pair = card.parameters - card.added
    return f"{card.name}: cross-model attention and fusion add {card.added:,d} to the pair's {pair:,d}."


def names() -> list[str]:
    return list(_models())


class _Spec(NamedTuple):
    """Builds a model and runs it on a clip of size `clip`; tokens of the clip and those the encoder attends over."""

    build: Callable[[], nn.Module]
    run: Callable[[nn.Module], Tensor]
    clip: str
    tokens: int
    encoder_tokens: int


UNIFORMERS = {"B/16": (768, 12, 12, 16), "L/14": (1024, 24, 16, 14)}  # width, layers, heads, patch


def _models() -> dict[str, _Spec]:
    return {
        **{f"VideoMAE {name}, pretraining, 90% hidden": _pretraining(size(name)) for name in SIZES},
        **{f"VideoMAE {name}, 400 classes": _classifier(size(name)) for name in SIZES},
        "UniFormerV2 B/16, 400 classes": _uniformerv2("B/16", 224),
        "UniFormerV2 L/14, 400 classes": _uniformerv2("L/14", 224),
        "UniFormerV2 L/14@336, 400 classes": _uniformerv2("L/14", 336),
        "InternVideo-MM B/16": _video_text("base"),
        "InternVideo-MM L/14": _video_text("large"),
        "Coordinated VideoMAE base, UniFormerV2 B/16": _coordinated(size("base"), "B/16"),
        "Coordinated VideoMAE huge, UniFormerV2 L/14": _coordinated(size("huge"), "L/14"),
    }


def _pretraining(s: Size) -> _Spec:
    t, h, w = s.grid
    hidden = t * int(0.9 * (h * w))
    visible = s.tokens - hidden

    def run(model):
        places = (torch.zeros(1, count, dtype=torch.long) for count in (visible, hidden))
        return model.predict(_clip(s.frames, s.image), *places)

    return _Spec(lambda: MaskedAutoencoder(s), run, _text(s.frames, s.image), s.tokens, visible)


def _classifier(s: Size) -> _Spec:
    run = lambda model: model(_clip(s.frames, s.image))  # noqa: E731
    return _Spec(lambda: VideoClassifier(s, 400), run, _text(s.frames, s.image), s.tokens, s.tokens)


def _uniformerv2(name: str, image: int) -> _Spec:
    tokens = 8 * ((image // UNIFORMERS[name][-1]) ** 2 + 1)
    build = lambda: UniFormerV2(*UNIFORMERS[name], image, 400)  # noqa: E731
    return _Spec(build, lambda model: model(_clip(8, image)), _text(8, image), tokens, tokens)


def _video_text(name: str) -> _Spec:
    s = video_text_size(name)
    tokens = 8 * ((s.image // s.patch) ** 2 + 1)

    def build():
        text = TextEncoder(s.embed, s.text_width, s.text_layers, s.text_heads, mask_embedding=True)
        return VideoTextModel(UniFormerV2(s.width, s.layers, s.heads, s.patch, s.image, 0), text, s.embed)

    run = lambda model: model(_clip(8, s.image), torch.zeros(1, s.context, dtype=torch.long))  # noqa: E731
    return _Spec(build, run, _text(8, s.image), tokens, tokens)


def _coordinated(s: Size, name: str) -> _Spec:
    tokens = s.tokens + 8 * ((s.image // UNIFORMERS[name][-1]) ** 2 + 1)
    build = lambda: Coordinated(VideoClassifier(s, 400), UniFormerV2(*UNIFORMERS[name], s.image, 400))  # noqa: E731
    run = lambda model: model((_clip(s.frames, s.image), _clip(8, s.image))).fused  # noqa: E731
    return _Spec(build, run, f"{s.frames}+{_text(8, s.image)}", tokens, tokens)


def _clip(frames: int, image: int) -> Tensor:
    return torch.empty(1, 3, frames, image, image)


def _text(frames: int, image: int) -> str:
    return f"{frames}x{image}x{image}"


def _card(name: str, spec: _Spec) -> ModelCosts:
    with torch.device("meta"):
        model = spec.build()
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        counter, kept = _counter(), _Kept(model)
        with torch.enable_grad(), counter, torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
            spec.run(model)
    parameters = sum(p.numel() for p in model.parameters())
    state = 4 * parameters + 12 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    added = getattr(model, "added_parameters", 0)
    operations = counter.get_total_flops()
    return ModelCosts(
        name, spec.clip, parameters, spec.tokens, spec.encoder_tokens, operations, state, kept.bytes, added
    )


def training_step(
    build: Callable[[], nn.Module], run: Callable[[nn.Module, int], Tensor], precision: str = "fp32"
) -> StepCosts:
    """Counts a forward and a backward pass on tensors without data. run(model, number of clips) -> tensor.

    Counts with one clip and with two, to separate costs per clip from costs per step. Autograd's stored tensors are
    those of the CPU kernels, which store as much as fused GPU kernels.
    """
    with torch.device("meta"):
        model = build()
    device, counted = torch.device("cpu"), []
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu").train()
        for clips in (1, 2):
            counter, kept = _counter(), _Kept(model)
            with counter, torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
                with autocast(device, precision):
                    out = run(model, clips)
                out.float().sum().backward()
            model.zero_grad()
            counted.append((counter.get_total_flops(), kept.bytes))
    (operations, kept_one), (operations_two, kept_two) = counted
    clip_bytes = kept_two - kept_one
    trained = count_parameters(model, trained=True)
    return StepCosts(
        count_parameters(model), trained, _largest_block(model), operations_two - operations, clip_bytes,
        max(0, kept_one - clip_bytes),
    )  # fmt: skip


def _largest_block(model: nn.Module) -> int:
    """Number of parameters of the largest module in any ModuleList, or of the whole model if it has none."""
    blocks = [block for module in model.modules() if isinstance(module, nn.ModuleList) for block in module]
    return max(map(count_parameters, blocks), default=count_parameters(model))


def _counter() -> FlopCounterMode:
    """torch's operation counter, extended by the CPU's fused attention, which torch leaves out."""
    attention = torch.ops.aten
    fused = {
        attention._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
        attention._scaled_dot_product_flash_attention_for_cpu_backward: lambda grad, q, k, v, *_, **__: (
            sdpa_backward_flop_count(grad, q, k, v)
        ),
    }
    return FlopCounterMode(display=False, custom_mapping=fused)


class _Kept:
    """Sums the bytes that autograd stores: each storage once, without weights."""

    def __init__(self, model: nn.Module):
        self.counted = {p.untyped_storage()._cdata for p in model.parameters()}
        self.alive: list[Tensor] = []  # keeps storages alive, so that no address is used twice
        self.bytes = 0

    def __call__(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.counted:
            self.counted.add(storage._cdata)
            self.alive.append(tensor)
            self.bytes += storage.nbytes()
        return tensor
