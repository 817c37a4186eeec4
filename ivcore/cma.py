"""Cross-model attention (CMA), the coordinated model and score fusion: two frozen encoders made better by each other (paper 3.3, 4.2.3).

Nobody released this part; what follows is built from the paper's text, and each reading is said where it is made. Placement and
sizes are parameters. The text says:

- "standard multi-head cross attention along with a feed-forward network", with tanh gates "as in Flamingo" (arXiv 2204.14198) on
  both, "to maintain the original output": gates start at 0, so at first nothing changes, exactly.
- Queries are the masked encoder's tokens, keys and values the multimodal encoder's intermediate tokens, and "the features in all
  stages of the masked video encoder" are enhanced: several modules, spread evenly over depth, each where both encoders are
  equally deep. With the default of four stages there is one at the end of stages 1, 2 and 3; what they add flows on through the
  frozen blocks, so that every stage's output is changed.
- The last module, at the end of the fourth stage, is reversed: "the query is from the class token of the multimodal video
  encoder", keys and values are the masked encoder's tokens. The class token that stands for the whole clip there is the query
  token after the last global block, before it is mixed with the mean of the frames' class tokens.
- "We freeze both backbones except the classification layers and the query tokens": trained are the modules, `head` of one and
  `transformer.proj` of the other encoder, `temporal_cls_token`, and the weight of the fusion.
- A dropout rate of 0.9: on the classification layers (`head_drop`). As dropout inside the modules (`dropout`, default 0) it would
  silence what they should learn.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import Mlp
from torch import Tensor, nn

from ivcore.encoders.attention import attend
from ivcore.encoders.checkpointing import checkpoint_block, checkpoint_selectively
from ivcore.encoders.intermediates import Record, add_to, start_record, with_record
from ivcore.encoders.uniformerv2 import UniFormerV2, mean_class
from ivcore.encoders.videomae import VideoClassifier
from ivcore.errors import ParameterError

Placement = tuple[tuple[int, int], ...]  # (masked block, multimodal block): tokens after them meet


class CrossModelAttention(nn.Module):
    """x + tanh(a) * MHCA(norm(x), norm(source)), then x + tanh(f) * FFN(norm(x)); a and f start at `gate`.

    gate None leaves the gates out (the branches count in full, and the original output is lost). Width and FFN are the query side's.
    """

    def __init__(
        self,
        width: int,
        source_width: int,
        heads: int,
        *,
        ffn_ratio=4.0,
        dropout=0.0,
        gate: float | None = 0.0,
    ):
        super().__init__()
        if heads < 1 or width % heads:
            raise ParameterError(f"heads: {heads} does not divide the width {width} of the tokens that ask")
        self.heads = heads
        # norms and GELU of these few modules cost little time to compute again, and are much of what would be kept
        self.activation_checkpointing = "selective"
        self.norm_q, self.norm_kv = nn.LayerNorm(width), nn.LayerNorm(source_width)
        self.q, self.proj = nn.Linear(width, width), nn.Linear(width, width)
        self.k, self.v = nn.Linear(source_width, width), nn.Linear(source_width, width)
        self.drop = nn.Dropout(dropout)
        self.norm_ffn = nn.LayerNorm(width)
        self.ffn = Mlp(width, int(width * ffn_ratio), drop=(0.0, dropout))
        self.attention_gate, self.ffn_gate = (
            None if gate is None else nn.Parameter(torch.tensor(float(gate))) for _ in range(2)
        )
        self.apply(_init_linear)

    def forward(self, x: Tensor, source: Tensor, record: Record = None) -> Tensor:
        """x (B, N, D), source (B, M, D') -> (B, N, D)."""
        add_to(record, "gates", self.gates())
        x = x + _gated(self.attention_gate, self._attention(x, source, record))
        return x + _gated(self.ffn_gate, self._feed_forward(x))

    def gates(self) -> Tensor:
        """How far attention and FFN are open: tanh of the two gates (2,), 1 where there are none."""
        if self.attention_gate is None:
            return self.proj.weight.new_ones(2)
        return torch.stack((self.attention_gate, self.ffn_gate)).detach().tanh()

    def _attention(self, x: Tensor, source: Tensor, record: Record) -> Tensor:
        query = checkpoint_selectively(self, lambda y: self.q(self.norm_q(y)), x)
        source = self.norm_kv(source)
        by_head = (
            rearrange(y, "b n (h d) -> b h n d", h=self.heads)
            for y in (query, self.k(source), self.v(source))
        )
        return self.drop(self.proj(attend(*by_head, record=record, name="cross_attention")))

    def _feed_forward(self, x: Tensor) -> Tensor:
        hidden = checkpoint_selectively(self, lambda y: self.ffn.fc1(self.norm_ffn(y)), x)
        return self.ffn.drop2(checkpoint_selectively(self, lambda y: self.ffn.fc2(self.ffn.act(y)), hidden))


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def _gated(gate: Tensor | None, branch: Tensor) -> Tensor:
    return branch if gate is None else gate.tanh() * branch


def even_placement(masked_depth: int, multimodal_depth: int, stages: int = 4) -> Placement:
    """Both encoders cut into `stages` of equal depth, a meeting at the end of each but the last: (7, 5), (15, 11), (23, 17) for 32
    and 24 blocks. The end of the last stage is where the reversed module sits."""
    if not 1 <= stages <= min(masked_depth, multimodal_depth):
        raise ParameterError(
            f"stages={stages}: must be from 1 to {min(masked_depth, multimodal_depth)}, the lesser depth"
        )
    ends = (
        (stage * masked_depth // stages, stage * multimodal_depth // stages) for stage in range(1, stages)
    )
    return tuple((masked - 1, multimodal - 1) for masked, multimodal in ends)


class ScoreFusion(nn.Module):
    """The learnable linear combination of two scores, whose parameters "are initialized as zero" (paper 3.3, 4.2.3).

    kind "sigmoid": (1 - s(w)) * masked + s(w) * multimodal with s the sigmoid, so w = 0 weighs both one half. It is how the same
        authors' UniFormerV2 balances its two tokens (`balance`, zeros too), and the reading under which step 0 means something.
    kind "raw": w_1 * masked + w_2 * multimodal, both 0 at first. The literal reading: all scores are 0 at step 0, only the two
        weights get a gradient there, and whatever the encoders know has to be let in first.
    of "probabilities": softmax before the sum, as published ensembles merge scores, so step 0 is that ensemble and it does not matter
        which encoder has the larger logits. Returned are logarithms, of which softmax gives the mixture back. Not for "raw".
    of "logits": the sum is taken of logits.
    per_class: a weight for each class in place of one for all.
    """

    def __init__(
        self, classes: int, kind: str = "sigmoid", of: str = "probabilities", per_class: bool = False
    ):
        super().__init__()
        if kind not in ("sigmoid", "raw") or of not in ("probabilities", "logits"):
            raise ParameterError(
                f"fusion: {kind!r} of {of!r} is not sigmoid or raw of probabilities or logits"
            )
        if (kind, of) == ("raw", "probabilities"):
            raise ParameterError(
                "fusion: raw weights of probabilities would give no probabilities; take raw of logits"
            )
        self.kind, self.of = kind, of
        self.weight = nn.Parameter(torch.zeros(1 if kind == "sigmoid" else 2, classes if per_class else 1))

    def forward(self, masked: Tensor, multimodal: Tensor) -> Tensor:
        """Logits (B, K) of the two models -> logits (B, K)."""
        if self.kind == "raw":
            return self.weight[0] * masked + self.weight[1] * multimodal
        if self.of == "logits":
            share = self.weight[0].sigmoid()
            return (1 - share) * masked + share * multimodal
        one, other = (
            F.logsigmoid(-self.weight[0]),
            F.logsigmoid(self.weight[0]),
        )  # log of 1 - s(w) and of s(w)
        return torch.logaddexp(masked.log_softmax(-1) + one, multimodal.log_softmax(-1) + other)

    def shares(self) -> Tensor:
        """The weights of the masked and of the multimodal scores (2, 1), or (2, K) per class."""
        weight = self.weight.detach()
        return weight if self.kind == "raw" else torch.cat((1 - weight.sigmoid(), weight.sigmoid()))


class Scores(NamedTuple):
    """Logits (B, K) of the two branches and of their fusion."""

    masked: Tensor
    multimodal: Tensor
    fused: Tensor


def branches(
    masked: nn.Module, multimodal: nn.Module, frames: tuple[int, int], image: int
) -> tuple[VideoClassifier, UniFormerV2]:
    """What `weights.load` gave for the two, expecting clips of so many frames each and so many pixels: positions are interpolated.

    ParameterError naming the one that is no classifier of its kind.
    """
    _check_kinds(masked, multimodal)
    return masked.resize_positions(frames[0], image), multimodal.resize_positions(frames[1], image)


def _check_kinds(masked: nn.Module, multimodal: nn.Module) -> None:
    kinds = {"masked_encoder": (masked, VideoClassifier), "multimodal_encoder": (multimodal, UniFormerV2)}
    for name, (found, kind) in kinds.items():
        if not isinstance(found, kind) or not found.num_classes:
            raise ParameterError(
                f"{name}: holds a {type(found).__name__}, must be a {kind.__name__} with a classification layer, as of notebook 12"
            )


class Coordinated(nn.Module):
    """Two classifiers joined by CMA: `m(m.prepare(clips))` gives Scores, `m.features(...)` both features side by side.

    masked and multimodal are taken over: frozen (parameters without gradient, eval mode whatever train() says), but for what is
    trained. At first both predictions equal the single models' exactly.
    placement: pairs of blocks whose outputs meet, or None for `even_placement` with `stages`. reverse: with the last, reversed
    module. heads: None takes each module's from the encoder that asks. head_drop: None leaves the encoders' own.
    fusion, fuse, per_class: kind, of and per_class of `ScoreFusion`. frames: how many the multimodal branch takes of a shared clip.
    frozen=False trains everything (an ablation).

    A step has two halves: `observe`, all that needs no gradient, and `interact`, the rest. Where clips are not augmented the first can be
    computed once a clip, see `observe_all`.
    """  # fmt: skip

    intermediates = (
        "cross_attention",
        "gates",
        "masked_features",
        "multimodal_features",
    )  # the first two: one a module

    def __init__(self, masked: VideoClassifier, multimodal: UniFormerV2, *, placement: Placement | None = None, stages: int = 4,
                 reverse=True, heads: int | None = None, ffn_ratio=4.0, dropout=0.0, gate: float | None = 0.0,
                 head_drop: float | None = 0.9, fusion="sigmoid", fuse="probabilities", per_class=False, frames=8,
                 frozen=True):  # fmt: skip
        super().__init__()
        _check_kinds(masked, multimodal)
        if masked.num_classes != multimodal.num_classes:
            raise ParameterError(
                f"classes: the masked encoder has {masked.num_classes}, the multimodal one {multimodal.num_classes}; "
                "both must have the same, and at least one"
            )
        self.masked, self.multimodal, self.frames, self.frozen = masked, multimodal, frames, frozen
        depths = len(masked.blocks), len(multimodal.transformer.resblocks)
        self.placement = (
            even_placement(*depths, stages) if placement is None else _checked(placement, *depths)
        )
        options = {"ffn_ratio": ffn_ratio, "dropout": dropout, "gate": gate}
        one, other = masked.size.width, multimodal.class_embedding.shape[0]
        heads_of = heads or masked.size.heads, heads or multimodal.transformer.resblocks[0].attn.heads
        self.cma = nn.ModuleList(
            CrossModelAttention(one, other, heads_of[0], **options) for _ in self.placement
        )
        self.last_cma = CrossModelAttention(other, one, heads_of[1], **options) if reverse else None
        self.fusion = ScoreFusion(masked.num_classes, fusion, fuse, per_class)
        self.options = {"reverse": reverse, "heads": heads, **options, "head_drop": head_drop, "fusion": fusion, "fuse": fuse,
                        "per_class": per_class, "frames": frames, "frozen": frozen}  # fmt: skip
        self._set_dropout(head_drop)
        self._freeze()
        self.train(
            masked.training and multimodal.training
        )  # loaded models come in eval mode, and so stays this

    # ---- what is trained

    def _freeze(self) -> None:
        """Leave a gradient to the classification layers and the query token only."""
        if not self.frozen:
            return
        self.masked.requires_grad_(False)
        self.multimodal.requires_grad_(False)
        self.masked.head.requires_grad_(True)
        self.multimodal.transformer.proj.requires_grad_(True)
        self.multimodal.transformer.temporal_cls_token.requires_grad_(True)

    def _set_dropout(self, rate: float | None) -> None:
        if rate is not None:
            self.masked.head_drop.p = self.multimodal.transformer.proj[1].p = rate

    def train(self, mode: bool = True) -> Coordinated:
        """As ever, but frozen encoders stay in eval mode: no drop path, no dropout, no running statistics. Their heads follow."""
        super().train(mode)
        if self.frozen:
            self.masked.eval(), self.multimodal.eval()
            self.masked.head_drop.train(mode), self.multimodal.transformer.proj.train(mode)
        return self

    @property
    def added_parameters(self) -> int:
        """What joining adds to the two encoders: modules and fusion."""
        parts = (self.cma, self.last_cma or nn.Identity(), self.fusion)
        return sum(p.numel() for part in parts for p in part.parameters())

    def no_weight_decay(self) -> set[str]:
        """timm's idiom: names that weight decay leaves alone (besides one-dimensional parameters); per-class fusion weights too."""
        inner = (("masked", self.masked), ("multimodal", self.multimodal))
        return {"fusion.weight"} | {f"{under}.{name}" for under, m in inner for name in m.no_weight_decay()}

    @property
    def config(self) -> dict:
        """What `weights.load` cannot read off the shapes; saved beside the weights."""
        joined = {"placement": [list(pair) for pair in self.placement], **self.options}
        return {"masked": self.masked.config, "multimodal": self.multimodal.config, "coordinated": joined}

    # ---- clips

    def resize_positions(self, frames: int, height: int, width: int | None = None) -> Coordinated:
        """Both branches expect clips of another size from now on, and the masked one of another length; tables are interpolated. Returns self."""
        self.masked.resize_positions(frames, height, width)
        self.multimodal.resize_positions(frames, height, width)
        return self

    def prepare(self, clips: Tensor, sparse: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """uint8 (B, T, H, W, 3) -> normalised clips for the masked and the multimodal branch, each with its own statistics.

        Each branch has its own frames too: dense ones (16, every 4th) and sparse ones over the whole video (8). Give the second as
        `sparse`, uint8 (B, T', H', W', 3). Without, each branch takes its number of frames from the one clip, spread evenly from its
        first to its last frame: right where the clip covers the whole video.
        """
        dense = _spread(clips, self.masked.grid[0] * self.masked.patch_embed.cell[0])
        sparse = _spread(clips, self.frames) if sparse is None else sparse
        return self.masked.prepare(dense), self.multimodal.prepare(sparse)

    # ---- the two halves of a step

    def observe(self, clips: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """All that comes before the first trained part, without gradients where the encoders are frozen:

        masked (B, N, D): the masked encoder's tokens where the first module waits (its last, where there is none);
        multimodal_<i> (B, T, 1+hw, D'): those after block i, for the modules and the global blocks; class_mean (B, D').
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            tokens = self.masked.run_blocks(self.masked.embed(clips[0]), 0, self._first)
            return {"masked": tokens, **self._multimodal_tokens(clips[1])}

    def interact(self, observed: dict[str, Tensor], return_intermediates: tuple[str, ...] = ()):
        """What `observe` gave -> Scores; with `want` also what is wanted, the modules in order, the reversed one last."""
        record = start_record(return_intermediates, self.intermediates)
        if not torch.is_autocast_enabled(observed["masked"].device.type):  # as kept by observe_all(dtype=...)
            observed = {name: value.to(self.fusion.weight.dtype) for name, value in observed.items()}
        masked, multimodal = self._features(observed, record)
        add_to(record, "masked_features", masked), add_to(record, "multimodal_features", multimodal)
        scores = self.masked.head(self.masked.head_drop(masked)), self.multimodal.transformer.proj(multimodal)
        return with_record(Scores(*scores, self.fusion(*scores)), record)

    def forward(self, clips: tuple[Tensor, Tensor], return_intermediates: tuple[str, ...] = ()):
        """The pair that `prepare` gives: (B, 3, T, H, W) for each branch -> Scores."""
        return self.interact(self.observe(clips), return_intermediates)

    def features(self, clips: tuple[Tensor, Tensor]) -> Tensor:
        """The pair that `prepare` gives -> both features side by side (B, D + D')."""
        return torch.cat(self._features(self.observe(clips), None), dim=-1)

    @property
    def _first(self) -> int:
        """The first masked block that comes after a module."""
        return self.placement[0][0] + 1 if self.placement else len(self.masked.blocks)

    def _multimodal_tokens(self, video: Tensor) -> dict[str, Tensor]:
        stages = self.multimodal.transformer
        kept = {layer for _, layer in self.placement} | set(stages.global_layers)
        x, found = self.multimodal.embed(video), {}
        for i, block in enumerate(stages.resblocks):
            x = checkpoint_block(block, block, x)
            if i in kept:
                found[f"multimodal_{i}"] = x
        return found | {"class_mean": mean_class(x)}

    def _features(self, observed: dict[str, Tensor], record: Record) -> tuple[Tensor, Tensor]:
        tokens = self._masked_tokens(observed, record)
        query = self._query(observed)
        if self.last_cma is not None:
            query = self.last_cma(query[:, None], tokens, record)[:, 0]
        return self.masked.pool(tokens), self.multimodal.transformer.fuse(query, observed["class_mean"])

    def _masked_tokens(self, observed: dict[str, Tensor], record: Record) -> Tensor:
        """The masked encoder's final tokens: each module, then the blocks up to the next."""
        x = observed["masked"]
        stops = [masked + 1 for masked, _ in self.placement[1:]] + [len(self.masked.blocks)]
        for attention, (masked, multimodal), stop in zip(self.cma, self.placement, stops, strict=False):
            x = attention(x, observed[f"multimodal_{multimodal}"].flatten(1, 2), record)
            x = self.masked.run_blocks(x, masked + 1, stop)
        return self.masked.norm(x)

    def _query(self, observed: dict[str, Tensor]) -> Tensor:
        """The query token after all global blocks. Their weights are frozen, but the token learns through them."""
        stages = self.multimodal.transformer
        query = stages.first_query(len(observed["masked"]))
        for layer in stages.global_layers:
            query = stages.gather(query, layer, observed[f"multimodal_{layer}"], self.multimodal.grid)
        return query


@torch.no_grad()
def observe_all(
    model: Coordinated, clips: Tensor, batch_size: int = 32, dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """`model.observe` of a whole set, for training on it without computing it again: uint8 (N, T, H, W, 3) -> columns on the CPU.

    Only for clips that are the same in every epoch. dtype: what to keep them in; None keeps them as they are, and a step on them then
    is the same to the bit (torch.float16 takes half the memory). A clip takes N*D + (modules + global blocks) * T*(1+hw)*D' numbers.
    """
    device, parts = next(model.parameters()).device, []
    for batch in clips.split(batch_size):
        observed = model.observe(model.prepare(batch.to(device)))
        parts.append({name: value.to("cpu", dtype) for name, value in observed.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _spread(clips: Tensor, frames: int) -> Tensor:
    """`frames` of the clip's frames (B, T, ...), evenly from the first to the last and mirrored about the middle, so that a clip played
    backwards gives the same frames backwards."""
    last = clips.shape[1] - 1
    if frames == last + 1:
        return clips
    front = [int(i * last / max(frames - 1, 1) + 0.5) for i in range((frames + 1) // 2)]
    front = front if frames > 1 else [last // 2]
    return clips[:, front + [last - i for i in front[: frames // 2]][::-1]]


def _checked(placement, masked_depth: int, multimodal_depth: int) -> Placement:
    placement = tuple((int(masked), int(multimodal)) for masked, multimodal in placement)
    blocks = [masked for masked, _ in placement]
    inside = all(0 <= a < masked_depth and 0 <= b < multimodal_depth for a, b in placement)
    if not inside or blocks != sorted(set(blocks)):
        raise ParameterError(
            f"placement: {placement} must be pairs (masked block in 0..{masked_depth - 1}, multimodal block in "
            f"0..{multimodal_depth - 1}), the first of each larger than the one before"
        )
    return placement
