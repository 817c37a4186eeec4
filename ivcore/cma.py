"""Cross-model attention (CMA), coordinated model, score fusion: two frozen encoders help each other (paper 3.3, 4.2.3).

No code of this part was released. This file follows the paper's text. Each interpretation is stated where it is made;
placement and sizes are parameters. The text says:

- "standard multi-head cross attention along with a feed-forward network", with tanh gates "as in Flamingo" (arXiv
  2204.14198) on both, "to maintain the original output": gates start at 0, so the first outputs are exactly those of
  the single encoders.
- Queries are the masked encoder's tokens, keys and values the multimodal encoder's intermediate tokens, and "the
  features in all stages of the masked video encoder" are enhanced: several modules, spread evenly over depth, each at
  the same relative depth of both encoders. With the default of four stages there is one at the end of stages 1, 2 and
  3. Their output passes through the frozen blocks that follow, so every later feature changes.
- The last module, at the end of the fourth stage, is reversed: "the query is from the class token of the multimodal
  video encoder", keys and values are the masked encoder's tokens. UniFormerV2's class token of the whole clip is its
  query token after the last global block, before it is mixed with the mean of the frames' class tokens.
- "We freeze both backbones except the classification layers and the query tokens": only the modules, the `head` of both
  encoders, the multimodal encoder's `query_token` and the fusion weight are trained.
- A dropout rate of 0.9: applied to the classification layers (`head_drop`). Inside the modules (`dropout`, default 0)
  this rate would suppress what they should learn.
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

# ---- one module


class CrossModelAttention(nn.Module):
    """x + tanh(a) * MHCA(norm(x), norm(source)), then x + tanh(f) * FFN(norm(x)); a and f start at `gate`.

    gate=None: no gates; the branches are added in full, and the original output is lost. Width and FFN follow the query
    side.
    """

    def __init__(self, width: int, source_width: int, heads: int, *, ffn_ratio=4.0, dropout=0.0, gate: float | None = 0.0):  # fmt: skip
        super().__init__()
        if heads < 1 or width % heads:
            raise ParameterError(f"heads: {heads} does not divide the width {width} of the query tokens")
        self.heads = heads
        # Norms and GELU are much of the stored activations, and recomputing them takes little time.
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
        """tanh of the attention gate and the FFN gate (2,); ones if the module has no gates."""
        if self.attention_gate is None:
            return self.proj.weight.new_ones(2)
        return torch.stack((self.attention_gate, self.ffn_gate)).detach().tanh()

    def _attention(self, x: Tensor, source: Tensor, record: Record) -> Tensor:
        query = checkpoint_selectively(self, lambda y: self.q(self.norm_q(y)), x)
        source = self.norm_kv(source)
        q, k, v = (rearrange(y, "b n (h d) -> b h n d", h=self.heads) for y in (query, self.k(source), self.v(source)))
        return self.drop(self.proj(attend(q, k, v, record=record, name="cross_attention")))

    def _feed_forward(self, x: Tensor) -> Tensor:
        hidden = checkpoint_selectively(self, lambda y: self.ffn.fc1(self.norm_ffn(y)), x)
        return self.ffn.drop2(checkpoint_selectively(self, lambda y: self.ffn.fc2(self.ffn.act(y)), hidden))


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def _gated(gate: Tensor | None, branch: Tensor) -> Tensor:
    return branch if gate is None else gate.tanh() * branch


# ---- placement of modules

Placement = tuple[tuple[int, int], ...]  # (masked block, multimodal block): a module joins the outputs of these two


def even_placement(masked_depth: int, multimodal_depth: int, stages: int = 4) -> Placement:
    """Cuts both encoders into `stages` of equal depth; a module follows each stage but the last: (7, 5), (15, 11), (23,
    17) for 32 and 24 blocks. The reversed module follows the last stage. ParameterError unless 1 <= stages <= the
    smaller depth."""
    most = min(masked_depth, multimodal_depth)
    if not 1 <= stages <= most:
        raise ParameterError(f"stages={stages}: must be from 1 to {most}, the smaller depth")
    return tuple(
        (stage * masked_depth // stages - 1, stage * multimodal_depth // stages - 1) for stage in range(1, stages)
    )


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


# ---- scores


class ScoreFusion(nn.Module):
    """The learnable linear combination of two scores, whose parameters "are initialized as zero" (paper 3.3, 4.2.3).

    kind="sigmoid": (1 - s(w)) * masked + s(w) * multimodal with s the sigmoid; w = 0 gives both the weight 1/2.
        UniFormerV2 by the same authors balances its two tokens this way (`balance`, also zeros), and the scores of step
        0 are useful.
    kind="raw": w_1 * masked + w_2 * multimodal, both weights 0 at first. The literal reading: all scores are 0 at step
        0, and only the two weights get a gradient there.
    of="probabilities": softmax before the sum, as published ensembles merge scores. Step 0 equals that ensemble, and
        the scale of an encoder's logits does not matter. Returns log probabilities of the mixture. Not for "raw".
    of="logits": sums logits.
    per_class: one weight per class instead of one for all.

    Errors: ParameterError for an unknown kind or `of`, and for "raw" of "probabilities".
    """

    def __init__(self, classes: int, kind: str = "sigmoid", of: str = "probabilities", per_class: bool = False):  # fmt: skip
        super().__init__()
        if kind not in ("sigmoid", "raw") or of not in ("probabilities", "logits"):
            raise ParameterError(f"fusion: {kind!r} of {of!r} is not sigmoid or raw of probabilities or logits")
        if (kind, of) == ("raw", "probabilities"):
            raise ParameterError("fusion: raw weights of probabilities give no probabilities; take raw of logits")
        self.kind, self.of = kind, of
        self.weight = nn.Parameter(torch.zeros(1 if kind == "sigmoid" else 2, classes if per_class else 1))

    def forward(self, masked: Tensor, multimodal: Tensor) -> Tensor:
        """Logits (B, K) of both models -> fused logits (B, K)."""
        if self.kind == "raw":
            return self.weight[0] * masked + self.weight[1] * multimodal
        if self.of == "logits":
            share = self.weight[0].sigmoid()
            return (1 - share) * masked + share * multimodal
        log_masked, log_multimodal = (
            F.logsigmoid(-self.weight[0]),
            F.logsigmoid(self.weight[0]),
        )  # logarithms of the shares
        return torch.logaddexp(masked.log_softmax(-1) + log_masked, multimodal.log_softmax(-1) + log_multimodal)

    def shares(self) -> Tensor:
        """The weights of the masked and of the multimodal scores (2, 1), or (2, K) per class."""
        weight = self.weight.detach()
        return weight if self.kind == "raw" else torch.cat((1 - weight.sigmoid(), weight.sigmoid()))


class Scores(NamedTuple):
    """Logits (B, K) of the two branches and of their fusion."""

    masked: Tensor
    multimodal: Tensor
    fused: Tensor


# ---- the coordinated model


class Coordinated(nn.Module):
    """Two classifiers joined by CMA: `m(m.prepare(clips))` gives Scores, `m.features(...)` both features concatenated.

    The model freezes `masked` and `multimodal`, except their heads and the query token: they get no gradients and stay
    in eval mode, even after train(). Before training, both predictions equal those of the single models exactly.
    placement: pairs of blocks whose outputs are joined, or None for `even_placement` with `stages`. reverse: adds the
    last, reversed module. heads: None uses the number of the module's query side. head_drop: None keeps the encoders'
    own rate.
    fusion, fuse, per_class: kind, of and per_class of `ScoreFusion`. frames: number that the multimodal branch takes
    from a shared clip. frozen=False trains everything (an ablation).

    A step has two parts: `encode_frozen`, which needs no gradient, and `fuse`. Without augmentation the result of the
    first can be computed once per clip and stored, see `stages.cross_model.cache_features`.

    Errors: ParameterError for branches of another kind or with different classes, and for a wrong placement.
    """  # fmt: skip

    intermediates = (
        "cross_attention",
        "gates",
        "masked_features",
        "multimodal_features",
    )  # the first two: one per module

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
        depths = len(masked.blocks), len(multimodal.blocks)
        self.placement = even_placement(*depths, stages) if placement is None else _checked(placement, *depths)
        module = {"ffn_ratio": ffn_ratio, "dropout": dropout, "gate": gate}
        self.cma = nn.ModuleList(
            CrossModelAttention(masked.width, multimodal.width, heads or masked.heads, **module) for _ in self.placement
        )
        self.last_cma = None
        if reverse:
            self.last_cma = CrossModelAttention(multimodal.width, masked.width, heads or multimodal.heads, **module)
        self.fusion = ScoreFusion(masked.num_classes, fusion, fuse, per_class)
        self.options = {"reverse": reverse, "heads": heads, **module, "head_drop": head_drop, "fusion": fusion, "fuse": fuse,
                        "per_class": per_class, "frames": frames, "frozen": frozen}  # fmt: skip
        if head_drop is not None:
            masked.set_head_dropout(head_drop), multimodal.set_head_dropout(head_drop)
        if frozen:
            self._freeze()
        self.train(masked.training and multimodal.training)  # loaded models are in eval mode; keep it

    # -- trained parts

    def _freeze(self) -> None:
        """Turns off all gradients except those of the classification layers and the query token."""
        self.masked.requires_grad_(False)
        self.multimodal.requires_grad_(False)
        for trained in (self.masked.head, self.multimodal.head, self.multimodal.query_token):
            trained.requires_grad_(True)

    def train(self, mode: bool = True) -> Coordinated:
        """Sets `mode`, but frozen encoders (not their heads) stay in eval: no dropout, drop path, running
        statistics."""
        super().train(mode)
        if self.frozen:
            self.masked.eval(), self.multimodal.eval()
            self.masked.head_drop.train(mode), self.multimodal.head.train(mode)
        return self

    @property
    def added_parameters(self) -> int:
        """Number of parameters that the two encoders do not have: CMA modules and fusion weights."""
        added = ("cma.", "last_cma.", "fusion.")
        return sum(p.numel() for name, p in self.named_parameters() if name.startswith(added))

    def no_weight_decay(self) -> set[str]:
        """Parameters without weight decay (timm's idiom), fusion weights included; timm adds all 1-D parameters."""
        encoders = (("masked", self.masked), ("multimodal", self.multimodal))
        return {"fusion.weight"} | {f"{e}.{name}" for e, encoder in encoders for name in encoder.no_weight_decay()}

    @property
    def config(self) -> dict:
        """Settings that `weights.load` cannot read from tensor shapes; saved with the weights."""
        coordinated = {"placement": [list(pair) for pair in self.placement], **self.options}
        return {"masked": self.masked.config, "multimodal": self.multimodal.config, "coordinated": coordinated}

    # -- clips

    def resize_positions(self, frames: int, height: int, width: int | None = None) -> Coordinated:
        """Sets image size (both branches) and frames (masked branch); interpolates position tables. Returns self."""
        self.masked.resize_positions(frames, height, width)
        self.multimodal.resize_positions(frames, height, width)
        return self

    def prepare(self, clips: Tensor, sparse: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """uint8 (B, T, H, W, 3) -> clips for the masked and multimodal branch, normalised with the statistics of each.

        The branches also use different frames: dense ones (16, every 4th) and sparse ones from the whole video (8).
        Pass the latter as `sparse`, uint8 (B, T', H', W', 3). Without `sparse`, each branch takes its number of frames
        from `clips`, evenly from the first to the last. This is correct if the clip covers the whole video.
        """
        dense = spread_frames(clips, self.masked.clip[0])
        sparse = spread_frames(clips, self.frames) if sparse is None else sparse
        return self.masked.prepare(dense), self.multimodal.prepare(sparse)

    # -- the two parts of a step

    def forward(self, clips: tuple[Tensor, Tensor], return_intermediates: tuple[str, ...] = ()):
        """Both clips (B, 3, T, H, W) from `prepare` -> Scores."""
        return self.fuse(self.encode_frozen(clips), return_intermediates)

    def features(self, clips: tuple[Tensor, Tensor]) -> Tensor:
        """Both clips from `prepare` -> both features concatenated (B, D + D')."""
        return torch.cat(self._features(self.encode_frozen(clips), None), dim=-1)

    def encode_frozen(self, clips: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Computes everything before the first trained part, without gradients if the encoders are frozen:

        masked (B, N, D): the masked encoder's tokens before the first module (the last tokens if there is no module);
        multimodal_<i> (B, T, 1+hw, D'): tokens after block i, for each block that a module or a global block reads;
        class_mean (B, D').
        """
        before = self.placement[0][0] + 1 if self.placement else len(self.masked.blocks)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            tokens = self.masked.run_blocks(self.masked.embed(clips[0]), 0, before)
            return {"masked": tokens, **self._multimodal_tokens(clips[1])}

    def fuse(self, frozen: dict[str, Tensor], return_intermediates: tuple[str, ...] = ()):
        """Result of `encode_frozen` -> Scores. Intermediates come in module order, the reversed one last."""
        record = start_record(return_intermediates, self.intermediates)
        # Stored features may be float16, which autocast does not mix with bf16. As float32 they match features that
        # were not stored.
        frozen = {name: value.to(self.fusion.weight.dtype) for name, value in frozen.items()}
        masked, multimodal = self._features(frozen, record)
        add_to(record, "masked_features", masked), add_to(record, "multimodal_features", multimodal)
        scores = self.masked.classify(masked), self.multimodal.classify(multimodal)
        return with_record(Scores(*scores, self.fusion(*scores)), record)

    def _multimodal_tokens(self, video: Tensor) -> dict[str, Tensor]:
        needed = {layer for _, layer in self.placement} | set(self.multimodal.global_layers)
        x, tokens = self.multimodal.embed(video), {}
        for i, block in enumerate(self.multimodal.blocks):
            x = checkpoint_block(block, block, x)
            if i in needed:
                tokens[f"multimodal_{i}"] = x
        return tokens | {"class_mean": mean_class(x)}

    def _features(self, frozen: dict[str, Tensor], record: Record) -> tuple[Tensor, Tensor]:
        tokens, query = self._masked_tokens(frozen, record), self._query(frozen)
        if self.last_cma is not None:
            query = self.last_cma(query[:, None], tokens, record)[:, 0]
        return self.masked.pool(tokens), self.multimodal.fuse(query, frozen["class_mean"])

    def _masked_tokens(self, frozen: dict[str, Tensor], record: Record) -> Tensor:
        """The masked encoder's final tokens (B, N, D): runs each module, then the blocks up to the next one."""
        x = frozen["masked"]
        stops = [masked + 1 for masked, _ in self.placement[1:]] + [len(self.masked.blocks)]
        for module, (masked, multimodal), stop in zip(self.cma, self.placement, stops, strict=False):
            x = module(x, frozen[f"multimodal_{multimodal}"].flatten(1, 2), record)
            x = self.masked.run_blocks(x, masked + 1, stop)
        return self.masked.norm(x)

    def _query(self, frozen: dict[str, Tensor]) -> Tensor:
        """The query token (B, D') after all global blocks; gradients reach it through their frozen weights."""
        query = self.multimodal.first_query(len(frozen["masked"]))
        for layer in self.multimodal.global_layers:
            query = self.multimodal.update_query(query, layer, frozen[f"multimodal_{layer}"])
        return query


def branches(
    masked: nn.Module, multimodal: nn.Module, frames: tuple[int, int], image: int
) -> tuple[VideoClassifier, UniFormerV2]:
    """The two loaded classifiers, resized to these frame counts and this image size; position tables are interpolated.

    Errors: ParameterError names the model that is not a classifier of its kind.
    """
    _check_kinds(masked, multimodal)
    return masked.resize_positions(frames[0], image), multimodal.resize_positions(frames[1], image)


def _check_kinds(masked: nn.Module, multimodal: nn.Module) -> None:
    kinds = {"masked_encoder": (masked, VideoClassifier), "multimodal_encoder": (multimodal, UniFormerV2)}
    for name, (encoder, kind) in kinds.items():
        if not isinstance(encoder, kind) or not encoder.num_classes:
            raise ParameterError(
                f"{name}: holds a {type(encoder).__name__}, must be a {kind.__name__} with a classification layer, as of notebook 12"
            )


def spread_frames(clips: Tensor, frames: int) -> Tensor:
    """Clips (B, T, ...) -> `frames` of their frames, evenly from the first to the last. The choice is symmetric: a clip
    played backwards gives the same frames in reverse order."""
    last = clips.shape[1] - 1
    if frames == last + 1:
        return clips
    front = [int(i * last / max(frames - 1, 1) + 0.5) for i in range((frames + 1) // 2)]
    front = front if frames > 1 else [last // 2]
    return clips[:, front + [last - i for i in front[: frames // 2]][::-1]]
