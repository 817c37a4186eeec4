"""What each published size costs: parameters, tokens, operations for a clip, memory for a training step. Counted, not typed.

Models are built and run on tensors without data, so that the largest takes seconds and no memory. Operations are those of a forward
pass, a multiply-add counted as two. Memory is for one clip, in bytes: weights, in float32 the gradients and AdamW's two moments of those
that are trained, and what the backward pass keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

PAPER_TOTALS = (
    "The paper's 1.0B and 1.3B (Table 2) are those of VideoMAE huge with one and with two UniFormerV2 L/14, "
    "986,219,040 and 1,340,318,640: ensembles, without cross-model attention."
)


def count_parameters(module: nn.Module, trained: bool = False) -> int:
    """Numbers in all parameters of a module, or in those that are trained."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)


@dataclass(frozen=True)
class Card:
    """One model: `encoder_tokens` are what its encoder attends over, `tokens` those of a whole clip."""

    name: str
    clip: str
    parameters: int
    tokens: int
    encoder_tokens: int
    operations: int  # of a forward pass for one clip
    state_bytes: int  # weights; gradients and two moments of those that are trained
    activation_bytes: int  # kept for the backward pass, one clip
    added: int = 0  # of the parameters, those that joining two models adds to theirs

    @property
    def training_bytes(self) -> int:
        return self.state_bytes + self.activation_bytes


def cards(names: list[str] | None = None) -> Iterator[Card]:
    """The cards, in order; only those in `names` if given."""
    for name, make in _models().items():
        if names is None or name in names:
            yield _card(name, *make())


def table(rows: list[Card] | None = None) -> str:
    """The cards as text."""
    head = f"{'model':43s} {'clip':>12s} {'parameters':>13s} {'tokens':>7s} {'encoded':>7s} {'GFLOP':>9s} {'training GiB':>12s}"
    lines, rows = [head], list(cards() if rows is None else rows)
    for card in rows:
        lines.append(
            f"{card.name:43s} {card.clip:>12s} {card.parameters:13,d} {card.tokens:7d} {card.encoder_tokens:7d} "
            f"{card.operations / 1e9:9.1f} {card.training_bytes / 2**30:12.2f}"
        )
    note = (
        "GFLOP: forward pass of one clip, a multiply-add counted as two. Training: float32, AdamW, one clip."
    )
    joined = [card for card in rows if card.added]
    return "\n".join([*lines, note, *(_joined(card) for card in joined), *([PAPER_TOTALS] if joined else [])])


def _joined(card: Card) -> str:
    pair = card.parameters - card.added
    return f"{card.name}: cross-model attention and fusion add {card.added:,d} to the pair's {pair:,d}."


def names() -> list[str]:
    return list(_models())


Run = Callable[[nn.Module], Tensor]


def _models() -> dict[str, Callable[[], tuple]]:
    """Name -> a function that gives (build, run, clip as text, tokens, encoder tokens)."""
    from ivcore.encoders.sizes import SIZES

    pretraining = {
        f"VideoMAE {size}, pretraining, 90% hidden": (lambda size=size: _pretraining(size)) for size in SIZES
    }
    fine_tuning = {f"VideoMAE {size}, 400 classes": (lambda size=size: _classifier(size)) for size in SIZES}
    towers = {
        "UniFormerV2 B/16, 400 classes": lambda: _uniformerv2(768, 12, 12, 16, 224),
        "UniFormerV2 L/14, 400 classes": lambda: _uniformerv2(1024, 24, 16, 14, 224),
        "UniFormerV2 L/14@336, 400 classes": lambda: _uniformerv2(1024, 24, 16, 14, 336),
        "InternVideo-MM B/16": lambda: _video_text(768, 12, 12, 16, 512, 8),
        "InternVideo-MM L/14": lambda: _video_text(1024, 24, 16, 14, 768, 12),
    }
    joined = {
        "Coordinated VideoMAE base, UniFormerV2 B/16": lambda: _coordinated("base", 768, 12, 12, 16),
        "Coordinated VideoMAE huge, UniFormerV2 L/14": lambda: _coordinated("huge", 1024, 24, 16, 14),
    }
    return pretraining | fine_tuning | towers | joined


def _pretraining(name: str):
    from ivcore.encoders.sizes import size
    from ivcore.encoders.videomae import MaskedAutoencoder

    s = size(name)
    t, h, w = s.grid
    hidden = t * int(0.9 * (h * w))
    visible = s.tokens - hidden

    def run(model):
        clip = torch.empty(1, 3, s.frames, s.image, s.image)
        return model.predict(
            clip, torch.zeros(1, visible, dtype=torch.long), torch.zeros(1, hidden, dtype=torch.long)
        )

    return lambda: MaskedAutoencoder(name), run, f"{s.frames}x{s.image}x{s.image}", s.tokens, visible


def _classifier(name: str):
    from ivcore.encoders.sizes import size
    from ivcore.encoders.videomae import VideoClassifier

    s = size(name)
    run = lambda model: model(torch.empty(1, 3, s.frames, s.image, s.image))  # noqa: E731
    return lambda: VideoClassifier(name, 400), run, f"{s.frames}x{s.image}x{s.image}", s.tokens, s.tokens


def _uniformerv2(width: int, layers: int, heads: int, patch: int, image: int):
    from ivcore.encoders.uniformerv2 import UniFormerV2

    tokens = 8 * ((image // patch) ** 2 + 1)
    run = lambda model: model(torch.empty(1, 3, 8, image, image))  # noqa: E731
    return (
        lambda: UniFormerV2(width, layers, heads, patch, image, 400),
        run,
        f"8x{image}x{image}",
        tokens,
        tokens,
    )


def _video_text(width: int, layers: int, heads: int, patch: int, embed: int, text_heads: int):
    from ivcore.encoders.clip import TextEncoder
    from ivcore.encoders.uniformerv2 import UniFormerV2
    from ivcore.encoders.video_text import VideoTextModel

    tokens = 8 * ((224 // patch) ** 2 + 1)

    def build():
        text = TextEncoder(embed, embed, heads=text_heads, mask_embedding=True)
        return VideoTextModel(UniFormerV2(width, layers, heads, patch, 224, 0), text, embed)

    run = lambda model: model(torch.empty(1, 3, 8, 224, 224), torch.zeros(1, 77, dtype=torch.long))  # noqa: E731
    return build, run, "8x224x224", tokens, tokens


def _coordinated(name: str, width: int, layers: int, heads: int, patch: int):
    from ivcore.cma import Coordinated
    from ivcore.encoders.sizes import size
    from ivcore.encoders.uniformerv2 import UniFormerV2
    from ivcore.encoders.videomae import VideoClassifier

    s = size(name)
    tokens = s.tokens + 8 * ((224 // patch) ** 2 + 1)

    def build():
        return Coordinated(VideoClassifier(name, 400), UniFormerV2(width, layers, heads, patch, 224, 400))

    run = lambda model: model((torch.empty(1, 3, 16, 224, 224), torch.empty(1, 3, 8, 224, 224))).fused  # noqa: E731
    return build, run, "16+8x224x224", tokens, tokens


def _card(name: str, build, run: Run, clip: str, tokens: int, encoder_tokens: int) -> Card:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    def _attention_operations(q, k, v, *_, **__):  # torch counts its other fused kernels, not the CPU's
        return sdpa_flop_count(q, k, v)

    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with torch.device("meta"):
        model = build()
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        counter = FlopCounterMode(display=False, custom_mapping={fused: _attention_operations})
        kept = _Kept(model)
        with (
            torch.enable_grad(),
            counter,
            torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor),
        ):
            run(model)
    parameters = count_parameters(model)
    state = 4 * parameters + 12 * count_parameters(model, trained=True)
    operations, added = counter.get_total_flops(), getattr(model, "added_parameters", 0)
    return Card(name, clip, parameters, tokens, encoder_tokens, operations, state, kept.bytes, added)


class _Kept:
    """Adds up what autograd keeps, each storage once, weights left out."""

    def __init__(self, model: nn.Module):
        self.counted = {p.untyped_storage()._cdata for p in model.parameters()}
        self.alive: list[Tensor] = []  # so that no storage is freed and its address taken again
        self.bytes = 0

    def __call__(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.counted:
            self.counted.add(storage._cdata)
            self.alive.append(tensor)
            self.bytes += storage.nbytes()
        return tensor
