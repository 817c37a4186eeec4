"""The paper's figures 3 and 4 drawn from models: every width, depth and number of tokens is read from the modules
(paper 3.1, 3.3).

Positions are in inches, from the bottom. Trained, frozen and loss boxes differ in outline as well as in colour.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ivcore.cma import Coordinated, CrossModelAttention
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.masking import MASKS

LOOKS = {  # kind -> face, edge, line width, line style, in words
    "data": ("#FFFFFF", "0.45", 1.0, "-", "data"),
    "learns": ("#CDE4F2", "#0072B2", 2.2, "-", "trained"),
    "frozen": ("#ECECEC", "0.45", 1.0, "--", "frozen"),
    "loss": ("#FBE9CC", "#000000", 1.4, ":", "loss"),
}
TEXT = 9.5  # points
WIDE = 3.1  # width of a box, inches
LEFT, RIGHT = 1.7, 5.7  # centres of the two columns
LANES = {LEFT: 3.5, RIGHT: 3.9}  # x positions of arrows that go up between the columns


@dataclass(frozen=True)
class Box:
    """A part of the figure, centred at (x, y); `height` and `width` in inches."""

    x: float
    y: float
    words: str
    kind: str = "learns"
    height: float = 0.62
    width: float = WIDE


# ---- figure 3a


def masked_pretraining(model: MaskedAutoencoder, ratio: float = 0.9, kind: str = "tube"):
    """Masked video modelling, with a mask of this ratio and kind. -> Figure"""
    s, encoder, decoder = model.size, model.encoder, model.decoder
    hidden = int(MASKS[kind](1, s.grid, ratio).sum())
    grid = " × ".join(map(str, s.grid))
    main = [
        ("data", f"clip: {s.frames} frames of {s.image} × {s.image}"),
        ("data", f"tubelets of {s.tubelet} × {s.patch} × {s.patch}:\n{grid} = {s.tokens:,}"),
        ("data", f"{s.tokens - hidden:,} visible tubelets\n({hidden / s.tokens:.0%} hidden, {kind} mask)"),
        ("learns", f"linear projection and position\n{s.tubelet_values:,} → {s.width:,}"),
        ("learns", f"encoder: {_stack(encoder.blocks, s.width, s.heads)}\nall visible tokens attend to all"),
        ("learns", f"projection {_linear(model.encoder_to_decoder)},\nand {hidden:,} mask tokens"),
        ("learns", f"decoder: {_stack(decoder.blocks, s.decoder_width, s.decoder_heads)}"),
        ("data", f"{hidden:,} × {s.tubelet_values:,} predicted pixels"),
    ]  # fmt: skip
    boxes = [Box(LEFT, 0.45 + 0.86 * i, words, kind) for i, (kind, words) in enumerate(main)]
    boxes.append(Box(RIGHT, boxes[2].y, f"{hidden:,} hidden tubelets,\nnormalised separately", "data"))
    boxes.append(Box(RIGHT, boxes[7].y, "loss: mean squared error", "loss"))
    arrows = [(i, i + 1) for i in range(7)] + [(1, 8), (8, 9), (7, 9)]
    return _drawn(boxes, arrows)


# ---- figure 3b


def video_text(model: VideoTextModel, frames: int = 8):
    """Video-language pretraining on a clip of `frames` frames and its sentence: align, then fuse. -> Figure"""
    visual, text, decoder = model.visual, model.text, model.caption_decoder
    tokens = 1 + visual.grid[0] * visual.grid[1]
    where = [layer + 1 for layer in visual.global_layers]
    words = text.transformer.resblocks
    left = [
        ("data", f"clip: {frames} frames of {visual.image} × {visual.image}"),
        ("learns", f"patches of {visual.patch} × {visual.patch}, a class token:\n{frames} × {tokens} tokens of {visual.width:,}"),
        ("learns", f"video encoder:\n{_stack(visual.blocks, visual.width, visual.heads)}"),
        ("learns", f"global blocks {_span(where)}: one query\nattends to {frames * tokens:,} tokens"),
        ("learns", f"clip's embedding ({_columns(model.visual_proj)})"),
    ]  # fmt: skip
    right = [
        ("data", f"sentence: up to {text.context} tokens"),
        ("learns", f"{text.token_embedding.weight.shape[0]:,} words, positions\n→ {_columns(text.token_embedding.weight)}"),
        ("learns", f"text encoder, causal:\n{_stack(words, _columns(text.token_embedding.weight), words[0].attn.heads)}"),
        ("learns", f"sentence's embedding ({_columns(text.text_projection)}),\nat the end token"),
    ]  # fmt: skip
    boxes = [Box(LEFT, 0.45 + 0.92 * i, words, kind) for i, (kind, words) in enumerate(left)]
    boxes += [Box(RIGHT, boxes[i].y, words, kind) for i, (kind, words) in enumerate(right)]
    boxes.append(Box(RIGHT, boxes[4].y, "contrastive loss:\nwhich clip, which sentence?", "loss"))
    arrows = [(0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8), (4, 9), (8, 9)]
    if decoder is None:
        return _drawn(boxes, arrows)
    layers = decoder.layers if hasattr(decoder, "layers") else decoder.multimodal_layers
    asked = "the clip's tokens and query" if model.caption_query else "the clip's tokens"
    said = f"caption decoder: {len(layers)} layers, width {decoder.width:,}\nthe sentence's tokens attend to {asked}"
    boxes.append(Box(3.7, boxes[4].y + 1.0, said, "learns", width=4.2))
    boxes.append(Box(3.7, boxes[10].y + 0.92, "captioning loss: the next word", "loss", width=4.2))
    return _drawn(boxes, [*arrows, (10, 11)], lanes=[(2, 10), (7, 10)])


# ---- figure 4


def interaction(model: Coordinated):
    """Cross-model interaction from the bottom up: which tokens of the two encoders attend to which, and how their
    scores are fused. -> Figure
    """
    masked, multimodal, rest = model.masked, model.multimodal, "frozen" if model.frozen else "learns"
    seen = model.frames * (1 + multimodal.grid[0] * multimodal.grid[1])
    boxes, arrows, tops = [], [], {}

    def put(x: float, row: int, words: str, kind: str = "learns") -> int:
        """Adds a box above the last one of its column."""
        boxes.append(Box(x, 0.45 + 0.92 * row, words, kind))
        if x in tops:
            arrows.append((tops[x], len(boxes) - 1))
        tops[x] = len(boxes) - 1
        return row + 1

    row = put(LEFT, 0, f"masked encoder\n{masked.size.tokens:,} tokens of {masked.width:,}", "data")
    put(RIGHT, 0, f"multimodal encoder\n{seen:,} tokens of {multimodal.width:,}", "data")
    begin = [0, 0]
    for module, ends in zip(model.cma, model.placement):
        put(LEFT, row, _blocks(begin[0], ends[0]), rest)
        if ends[1] >= begin[1]:  # otherwise two modules attend to the same tokens
            put(RIGHT, row, _blocks(begin[1], ends[1]), rest)
        row = put(LEFT, row + 1, _module(module, "attends to tokens on the right"))
        arrows.append((tops[RIGHT], tops[LEFT]))
        begin = [ends[0] + 1, max(begin[1], ends[1] + 1)]
    where = _span([layer + 1 for layer in multimodal.global_layers])
    for x, first, encoder in ((LEFT, begin[0], masked), (RIGHT, begin[1], multimodal)):
        if first < len(encoder.blocks):
            put(x, row, _blocks(first, len(encoder.blocks) - 1), rest)
    row = put(RIGHT, row + 1, f"query token of {multimodal.width:,},\nthrough global blocks {where}")
    if model.last_cma is not None:
        row = put(RIGHT, row, _module(model.last_cma, "query attends to the left"))
        arrows.append((tops[LEFT], tops[RIGHT]))
    for x in (LEFT, RIGHT):
        put(x, row, f"classification layer:\n{masked.num_classes} classes")
    count = model.fusion.weight.numel()
    boxes.append(
        Box(3.7, 0.45 + 0.92 * (row + 1), f"fusion: {model.fusion.kind}, {count} weight{'s' if count > 1 else ''}")
    )
    arrows += [(tops[x], len(boxes) - 1) for x in (LEFT, RIGHT)]
    return _drawn(boxes, arrows)


def _blocks(first: int, last: int) -> str:
    """Block numbers in words, counted from 1."""
    return f"blocks {first + 1} to {last + 1}" if last > first else f"block {last + 1}"


def _module(module: CrossModelAttention, who: str) -> str:
    count = sum(parameter.numel() for parameter in module.parameters())
    size = f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"
    return f"cross-model attention, {module.heads} heads,\n{size}; {who}"


# ---- words


def _stack(blocks: nn.ModuleList, width: int, heads: int) -> str:
    return f"{len(blocks)} blocks, width {width:,}, {heads} heads"


def _linear(layer: nn.Linear) -> str:
    return f"{layer.in_features:,} → {layer.out_features:,}"


def _columns(weight) -> int | str:
    return "none" if weight is None else weight.shape[1]


def _span(layers: list[int]) -> str:
    """ "21 to 24" for consecutive layers, otherwise each number."""
    in_a_row = len(layers) > 2 and layers == list(range(layers[0], layers[-1] + 1))
    return f"{layers[0]} to {layers[-1]}" if in_a_row else ", ".join(map(str, layers))


# ---- drawing


def _drawn(boxes: list[Box], arrows: list[tuple[int, int]], lanes=()):
    """Draws the boxes and the arrows between them; the arrows of `lanes` go up between the columns."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch, Patch

    width, height = 7.4, max(box.y + box.height / 2 for box in boxes) + 0.1
    figure = plt.figure(figsize=(width, height + 0.45), layout="none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(-0.45, height), aspect="equal")
    axes.set_axis_off()
    for begin, end in arrows:
        axes.annotate("", *reversed(_way(boxes[begin], boxes[end])), arrowprops=_LINE, zorder=2)
    for begin, end in lanes:
        _draw_lane(axes, boxes[begin], boxes[end])
    for box in boxes:
        face, edge, line, style, _ = LOOKS[box.kind]
        corner = (box.x - box.width / 2, box.y - box.height / 2)
        look = {"boxstyle": "round,pad=0,rounding_size=0.07", "fc": face, "ec": edge, "lw": line, "ls": style}
        axes.add_patch(FancyBboxPatch(corner, box.width, box.height, zorder=3, **look))
        axes.text(box.x, box.y, box.words, ha="center", va="center", fontsize=TEXT, linespacing=1.15, zorder=4)
    used = [look for kind, look in LOOKS.items() if any(box.kind == kind for box in boxes)]
    handles = [Patch(fc=face, ec=edge, lw=line, ls=style, label=words) for face, edge, line, style, words in used]
    axes.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=9, bbox_to_anchor=(0.5, 0), borderaxespad=0)  # fmt: skip
    return figure


def _way(begin: Box, end: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """The route of an arrow: straight up in a column, sideways between the two columns, or from the top of a column to
    a box in the middle.
    """
    if begin.x == end.x:
        return (begin.x, begin.y + begin.height / 2), (end.x, end.y - end.height / 2)
    side = 1 if end.x > begin.x else -1
    if {begin.x, end.x} == {LEFT, RIGHT}:
        return (begin.x + side * begin.width / 2, begin.y), (end.x - side * end.width / 2, end.y)
    return (begin.x + side * 0.4, begin.y + begin.height / 2), (end.x - side * end.width / 4, end.y - end.height / 2)


def _draw_lane(axes, begin: Box, end: Box) -> None:
    x = LANES[begin.x]
    side = begin.x + (begin.width / 2 if x > begin.x else -begin.width / 2)
    axes.plot([side, x, x], [begin.y, begin.y, end.y - end.height / 2 - 0.1], color="0.3", lw=1.3, zorder=1)
    axes.annotate("", (x, end.y - end.height / 2), (x, end.y - end.height / 2 - 0.2), arrowprops=_LINE, zorder=2)


_LINE = {"arrowstyle": "-|>", "color": "0.3", "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
